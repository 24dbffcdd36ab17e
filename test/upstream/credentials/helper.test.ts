import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import { helperCredentials } from '../../../lib/upstream/credentials/helper.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { silentLogger } from '../../support/upstream-client.ts'
import { until } from '../../support/until.ts'

const name = parseRepositoryName('library/nginx')
const answer = `echo '{"ServerURL":"s","Username":"me","Secret":"'"$SECRET"'"}'`

interface Script {
  readonly lifetimeMs?: number
  readonly timeoutMs?: number
  readonly env?: Readonly<Record<string, string>>
}

/** A helper that runs `body` in a shell, and counts in a file how often it was started. */
function helper(t: Test, body: string, options: Script = {}) {
  const dir = t.testdir()
  const command = path.join(dir, 'docker-credential-test')
  writeFileSync(command, `#!/bin/sh\necho "$@" >> '${dir}/runs'\n${body}\n`, { mode: 0o755 })
  const logLines: string[] = []
  const clock = new ManualClock()
  const { env = { SECRET: 'hunter2' }, ...rest } = options
  const source = helperCredentials({
    upstream: 'hub',
    command,
    serverUrl: 'https://index.docker.io/v1/',
    env: { PATH: process.env['PATH'], ...env },
    clock,
    logger: silentLogger(line => logLines.push(line)),
    ...rest,
  })
  const runs = () =>
    existsSync(`${dir}/runs`) ? readFileSync(`${dir}/runs`, 'utf8').split('\n').length - 1 : 0
  return { source, clock, dir, command, runs, logLines }
}

t.test('helperCredentials() goes on as anybody where the program fails, and logs no secret', async t => {
  const cases = [
    ['echo hunter2; echo hunter2 >&2; exit 3', 'it ended with 3'],
    ['echo "credentials not found in native keychain"; exit 1', 'it knows none'],
    [`echo '{"Username":"","Secret":""}'`, 'it knows none'],
    ['echo hunter2', 'its answer is not the JSON of a credential helper'],
    [`echo '{"Username":"hunter2"}'`, 'its answer is not the JSON of a credential helper'],
    ['exec 0<&-; head -c 70000 /dev/zero', 'its answer is longer than 65536 bytes'],
    ['kill -9 $$', 'it ended with SIGKILL'],
  ] as const
  for (const [body, reason] of cases) {
    const { source, logLines, command } = helper(t, body)

    t.equal(await source.get(name), undefined, body)
    t.equal(logLines.length, 1)
    t.match(JSON.parse(logLines[0] ?? ''), { level: 'warning', upstream: 'hub', command, reason })
    t.notMatch(logLines[0], /hunter2/)
  }
})

t.test('helperCredentials() survives a program that does not exist', async t => {
  const logLines: string[] = []
  const logger = silentLogger(line => logLines.push(line))
  const options = { upstream: 'hub', serverUrl: 's', env: {}, clock: new ManualClock(), logger }

  t.equal(await helperCredentials({ ...options, command: '/no/such/program' }).get(name), undefined)
  t.equal(await helperCredentials({ ...options, command: 'no\0name' }).get(name), undefined)
  t.match(logLines[0], /ENOENT/)
})

t.test('helperCredentials() kills a program that does not end', async t => {
  const { source, logLines, dir } = helper(t, `echo $$ > "$0.pid"; exec sleep 600`, { timeoutMs: 1_000 })

  t.equal(await source.get(name), undefined)

  t.match(logLines[0], /no answer in 1000 ms/)
  const pid = Number(readFileSync(path.join(dir, 'docker-credential-test.pid'), 'utf8'))
  await until(
    () => !existsSync(`/proc/${pid}`) || /State:\s+Z/.test(readFileSync(`/proc/${pid}/status`, 'utf8')),
  )
})

t.test('helperCredentials() waits for no child that the program leaves behind', async t => {
  const { source, logLines } = helper(t, 'sleep 2 & exit 0', { timeoutMs: 300 })

  t.equal(await source.get(name), undefined)

  t.match(logLines[0], /no answer in 300 ms/)
})

t.test('helperCredentials() asks again after a failure, but not for 5 s', async t => {
  const { source, clock, runs, dir } = helper(t, `test -e "$0.ready" || exit 1; ${answer}`)
  for (const _ of [1, 2, 3]) t.equal(await source.get(name), undefined)
  t.equal(runs(), 1)
  writeFileSync(path.join(dir, 'docker-credential-test.ready'), '')

  clock.advance(5_000)

  t.same(await source.get(name), { username: 'me', password: 'hunter2' })
  t.equal(runs(), 2)
})

t.test('helperCredentials() speaks the protocol, with the environment that it was given', async t => {
  const body = `cat > "$0.stdin"; env > "$0.env"; ${answer}`
  const { source, dir } = helper(t, body, { env: { SECRET: 'hunter2', MORE: '1' } })
  process.env['NOT_HANDED_IN'] = '1'
  t.teardown(() => delete process.env['NOT_HANDED_IN'])

  t.same(await source.get(name), { username: 'me', password: 'hunter2' })

  t.equal(readFileSync(path.join(dir, 'runs'), 'utf8'), 'get\n')
  t.equal(readFileSync(path.join(dir, 'docker-credential-test.stdin'), 'utf8'), 'https://index.docker.io/v1/')
  const seen = readFileSync(path.join(dir, 'docker-credential-test.env'), 'utf8')
  t.match(seen, /^MORE=1$/m)
  t.notMatch(seen, /NOT_HANDED_IN/)
})

t.test('helperCredentials() runs once for all who wait', async t => {
  const { source, runs } = helper(t, answer, { lifetimeMs: 0 })

  await Promise.all(Array.from({ length: 10 }, () => source.get(name)))

  t.equal(runs(), 1)
})

t.test('helperCredentials() keeps an answer for its lifetime', async t => {
  const cases = [
    [undefined, [1, 1, 1]],
    [0, [1, 2, 3]],
    [60_000, [1, 1, 2]],
  ] as const
  for (const [lifetimeMs, expected] of cases) {
    const { source, clock, runs } = helper(t, answer, lifetimeMs === undefined ? {} : { lifetimeMs })
    const counts: number[] = []
    for (const waitMs of [0, 59_999, 1]) {
      clock.advance(waitMs)
      await source.get(name)
      counts.push(runs())
    }

    t.same(counts, expected, `lifetime ${lifetimeMs}`)
  }
})

t.test('helperCredentials() replaces refused credentials, at most every 5 s', async t => {
  for (const lifetimeMs of [undefined, 0]) {
    const { source, clock, runs } = helper(t, answer, lifetimeMs === undefined ? {} : { lifetimeMs })
    const ask = async () => {
      const credentials = await source.get(name)
      if (credentials !== undefined) source.refused(credentials)
      await source.get(name)
      return runs()
    }

    t.equal(await ask(), 1)
    t.equal(await ask(), 1)
    clock.advance(5_000)
    t.equal(await ask(), 2, `lifetime ${lifetimeMs}`)
    t.equal(await ask(), 2)
  }
})
