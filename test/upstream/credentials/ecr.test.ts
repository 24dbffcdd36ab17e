import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import { ecrCredentials, ecrRegion } from '../../../lib/upstream/credentials/ecr.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { until } from '../../support/until.ts'
import { silentLogger, upstreamError } from '../../support/upstream-client.ts'
import { startService, type ServiceAnswer } from './fake-service.ts'

const name = parseRepositoryName('team/app')
const hourMs = 3_600_000
const keys = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'hunter2-secret',
  sessionToken: 'hunter2-session',
}

/** Passwords 1, 2, … for twelve hours, unless `answer` says something else. */
async function startEcr(t: Test, answer?: () => ServiceAnswer | undefined) {
  const clock = new ManualClock()
  let made = 0
  const state = { answer }
  const service = await startService(t, () => {
    if (state.answer !== undefined) return state.answer()
    const authorizationToken = Buffer.from(`AWS:hunter2:${++made}`).toString('base64')
    const expiresAt = (clock.now() + 12 * hourMs) / 1000
    return ecrAnswer({ authorizationData: [{ authorizationToken, expiresAt }] })
  })
  const logLines: string[] = []
  const source = ecrCredentials({
    upstream: 'ecr',
    region: 'eu-west-1',
    keys,
    endpoint: service.url,
    clock,
    logger: silentLogger(line => logLines.push(line)),
  })
  return { clock, state, source, asked: service.asked, logLines }
}

function ecrAnswer(body: unknown, status = 200): ServiceAnswer {
  return { status, body, headers: { 'Content-Type': 'application/x-amz-json-1.1' } }
}

t.test('ecrCredentials() says what failed, and shows no secret', async t => {
  const refusal = { __type: 'UnrecognizedClientException', message: 'hunter2 is no token' }
  const cases = [
    [() => ecrAnswer(refusal, 400), /in "eu-west-1": UnrecognizedClientException$/],
    [() => ecrAnswer({ authorizationData: [] }), /none in the answer$/],
    [() => ecrAnswer({ authorizationData: [{ authorizationToken: 'aHVudGVyMg==' }] }), /none in the answer$/],
    [() => ecrAnswer('hunter2'), /: SyntaxError$/],
  ] as const
  for (const [answer, message] of cases) {
    const { source } = await startEcr(t, answer)

    const err = await source.get(name).catch((err: unknown) => err)

    t.match(err, { ...upstreamError('unavailable', { asked: false }), message })
    t.notMatch(inspect(err), /hunter2|aHVudGVy/)
  }
})

t.test('ecrCredentials() does not ask again for 5 s after a failure', async t => {
  const refusal = () => ecrAnswer({ __type: 'AccessDeniedException' }, 400)
  const { source, state, asked, clock } = await startEcr(t, refusal)
  for (const _ of [1, 2]) await t.rejects(source.get(name), { message: /AccessDeniedException$/ })
  t.equal(asked.length, 1)
  state.answer = undefined

  clock.advance(5_000)

  t.same(await source.get(name), { username: 'AWS', password: 'hunter2:1' })
})

t.test('ecrCredentials() asks the API once, signed with the keys that it was given', async t => {
  const { source, asked } = await startEcr(t)

  const got = await Promise.all(Array.from({ length: 5 }, () => source.get(name)))

  for (const credentials of got) t.same(credentials, { username: 'AWS', password: 'hunter2:1' })
  t.equal(asked.length, 1)
  t.match(asked[0], {
    method: 'POST',
    headers: {
      'x-amz-target': 'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken',
      'x-amz-security-token': 'hunter2-session',
      authorization: /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/ecr\/aws4_request/,
    },
  })
})

t.test('ecrCredentials() renews a password at 11/12 of its life, using it until its end', async t => {
  const { source, asked, clock, state, logLines } = await startEcr(t)
  await source.get(name)

  clock.advance(11 * hourMs - 1)
  await source.get(name)
  t.equal(asked.length, 1)
  clock.advance(1)
  state.answer = () => ecrAnswer({ __type: 'AccessDeniedException' }, 400)
  t.equal((await source.get(name))?.password, 'hunter2:1')
  await until(() => logLines.length > 0)
  t.match(logLines[0], /AccessDeniedException.*cannot renew credentials/)
  t.notMatch(logLines[0], /hunter2/)
  state.answer = undefined
  clock.advance(hourMs - 1)
  t.equal((await source.get(name))?.password, 'hunter2:1')
  await until(async () => (await source.get(name))?.password === 'hunter2:2')

  t.equal(asked.length, 3)
})

t.test('ecrCredentials() replaces a refused password', async t => {
  const { source, clock } = await startEcr(t)
  const first = await source.get(name)
  clock.advance(5_000)

  if (first !== undefined) source.refused(first)

  t.equal((await source.get(name))?.password, 'hunter2:2')
})

t.test('ecrRegion() finds the region in the names of ECR registries', t => {
  const cases = [
    ['123456789012.dkr.ecr.eu-west-1.amazonaws.com', 'eu-west-1'],
    ['123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
    ['123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
    ['123456789012.dkr-ecr.eu-west-1.on.aws', 'eu-west-1'],
    ['public.ecr.aws', undefined],
    ['123456789012.dkr.ecr.eu-west-1.example.com', undefined],
    ['1.dkr.ecr.eu-west-1.amazonaws.com', undefined],
  ] as const
  for (const [host, region] of cases) t.equal(ecrRegion(host), region, host)
  t.end()
})
