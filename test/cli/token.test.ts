// The command `registry token`, and the registry that takes what it prints.
import { writeFileSync } from 'node:fs'
import { decodeJwt } from 'jose'
import t from 'tap'
import { main } from '../../lib/cli/main.ts'
import { startTokenServer } from '../http/token/token-server.ts'
import { RecordedIo } from '../support/recorded-io.ts'

async function run(...argv: string[]) {
  const io = new RecordedIo()
  const exitCode = await main(['token', ...argv], io)
  return { exitCode, ...io.written }
}

function configuration(file: string, keys: string): string {
  const text = `{version: 0.1, storage: {inmemory: {}}, auth: {htpasswd: {realm: r, path: none}}, tokenservice: {enabled: true${keys}}}`
  writeFileSync(file, text)
  return file
}

t.test('registry token prints a token that the registry takes', async t => {
  const dir = t.testdir({ htpasswd: '' })
  const { ask } = await startTokenServer(t, { more: `, keys: "${dir}/keys"`, dir })
  const config = configuration(`${dir}/config.yml`, `, keys: "${dir}/keys"`)

  const { exitCode, stdout, stderr } = await run(
    ...['--config', config, '--user', 'ci', '--expiry', '10m'],
    ...['--scope', 'repository:team/app:pull', '--scope', 'repository:team/two:pull,push'],
  )

  t.equal(exitCode, 0, stderr)
  const { sub, iat = 0, exp = 0, access } = decodeJwt(stdout.trim())
  t.equal(sub, 'ci')
  t.equal(exp - iat, 600)
  t.match(access, [{ name: 'team/app', actions: ['pull'] }, { actions: ['pull', 'push'] }])
  t.equal((await ask('/v2/team/app/tags/list', `Bearer ${stdout.trim()}`)).status, 404)
})

t.test('registry token says what is wrong, and makes no keys', async t => {
  const dir = t.testdir({ keys: {} })
  const config = configuration(`${dir}/config.yml`, `, keys: "${dir}/keys"`)
  const inMemory = configuration(`${dir}/memory.yml`, '')
  const of = (file: string, ...more: string[]) => run('--config', file, '--user', 'ci', ...more)

  t.match(await of(inMemory), { exitCode: 1, stderr: /has no tokenservice\.keys/ })
  t.match(await of(config), { exitCode: 1, stderr: /no key is there/ })
  t.match(await of(config, '--scope', 'team/app'), { exitCode: 1, stderr: /Cannot read scope "team\/app"/ })
  t.match(await of(config, '--expiry', 'soon'), { exitCode: 1, stderr: /Cannot read expiry "soon"/ })
})
