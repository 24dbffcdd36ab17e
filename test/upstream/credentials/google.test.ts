import { generateKeyPairSync } from 'node:crypto'
import path from 'node:path'
import { inspect } from 'node:util'
import { jwtVerify } from 'jose'
import t, { type Test } from 'tap'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import { googleCredentials } from '../../../lib/upstream/credentials/google.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { silentLogger, upstreamError } from '../../support/upstream-client.ts'
import { startService, type ServiceAnswer } from './fake-service.ts'

const name = parseRepositoryName('project/app')
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })

/** Tokens hunter2-1, hunter2-2, … for an hour, unless `answer` says something else. */
async function startGoogle(t: Test, answer?: () => ServiceAnswer | undefined) {
  let made = 0
  const token = () => ({
    body: { access_token: `hunter2-${++made}`, expires_in: 3600, token_type: 'Bearer' },
  })
  const service = await startService(t, answer ?? token)
  const clock = new ManualClock()
  const logLines: string[] = []
  const logger = silentLogger(line => logLines.push(line))
  const deps = { upstream: 'gcr', clock, logger }
  return {
    clock,
    asked: service.asked,
    url: service.url,
    logLines,
    onMachine: (more: object = {}) => googleCredentials({ ...deps, ...more, metadataUrl: service.url }),
    withKey: (keyFile: string, more: object = {}) => googleCredentials({ ...deps, ...more, keyFile }),
  }
}

function keyFile(t: Test, content: unknown): string {
  return path.join(t.testdir({ 'key.json': JSON.stringify(content) }), 'key.json')
}

function account(tokenUri: string) {
  return {
    type: 'service_account',
    client_email: 'puller@project.iam.gserviceaccount.com',
    private_key_id: 'key-1',
    private_key: pem,
    token_uri: tokenUri,
  }
}

t.test('googleCredentials() says what failed, and shows no secret', async t => {
  const cases = [
    [() => ({ status: 404, body: 'hunter2' }), /answered 404$/],
    [() => ({ status: 403, body: 'hunter2' }), /answered 403$/],
    [() => ({ status: 302, headers: { Location: 'http://a.test/' }, body: '' }), /answered 302$/],
    [() => ({ body: 'hunter2' }), /no token in the answer$/],
    [() => ({ body: { access_token: 'hunter2\n', expires_in: 9 } }), /no token in the answer$/],
    [() => ({ body: { access_token: 'hunter2' } }), /no token in the answer$/],
    [() => undefined, /UND_ERR_SOCKET|ECONNRESET/],
    [() => ({ body: 'hunter2'.repeat(100_000) }), /too long$/],
  ] as const
  for (const [answer, message] of cases) {
    const { onMachine, asked } = await startGoogle(t, answer)

    const err = await onMachine()
      .get(name)
      .catch((err: unknown) => err)

    t.match(err, { ...upstreamError('unavailable', { asked: false }), message })
    t.notMatch(inspect(err), /hunter2/)
    t.equal(asked.length, 1)
  }
})

t.test('googleCredentials() says what is wrong with a key, and shows nothing of it', async t => {
  const { withKey, url } = await startGoogle(t)
  const good = account(url.href)
  const cases = [
    ['hunter2', /not the JSON key of a service account$/],
    [{ ...good, type: 'authorized_user' }, /not the JSON key of a service account$/],
    [{ ...good, token_uri: 'file:///hunter2' }, /not the JSON key of a service account$/],
    [{ ...good, private_key: '-----BEGIN PRIVATE KEY-----\nhunter2\n' }, /no RSA key in it$/],
  ] as const
  for (const [content, message] of cases) {
    const err = await withKey(keyFile(t, content))
      .get(name)
      .catch((err: unknown) => err)

    t.match(err, { ...upstreamError('unavailable', { asked: false }), message })
    t.notMatch(inspect(err), /hunter2|PRIVATE KEY/)
  }
  await t.rejects(withKey('/no/such/key.json').get(name), { message: /key.json": ENOENT$/ })
})

t.test('googleCredentials() leaves the way to Google, but not to the metadata server, to others', async t => {
  const { onMachine, withKey, asked, url } = await startGoogle(t)
  const dispatcherFor = (url: URL) => {
    throw new Error(`no way to ${url.host}`)
  }

  await t.rejects(
    withKey(keyFile(t, account(url.href)), { dispatcherFor }).get(name),
    upstreamError('unavailable', { asked: false }),
  )
  t.equal(asked.length, 0)
  t.equal((await onMachine({ dispatcherFor }).get(name))?.password, 'hunter2-1')
})

t.test('googleCredentials() asks the metadata server for the token of the machine', async t => {
  const { onMachine, asked } = await startGoogle(t)
  const source = onMachine()

  const got = await Promise.all([source.get(name), source.get(name)])

  for (const one of got) t.same(one, { username: 'oauth2accesstoken', password: 'hunter2-1' })
  t.equal(asked.length, 1)
  t.match(asked[0], {
    method: 'GET',
    path: '/computeMetadata/v1/instance/service-accounts/default/token',
    headers: { 'metadata-flavor': 'Google' },
  })
})

t.test('googleCredentials() exchanges what the key has signed for a token', async t => {
  const { withKey, asked, url, clock } = await startGoogle(t)

  t.equal((await withKey(keyFile(t, account(`${url.href}token`))).get(name))?.password, 'hunter2-1')

  t.match(asked, [{ method: 'POST', path: '/token', headers: { 'content-type': /urlencoded/ } }])
  const form = new URLSearchParams(asked[0]?.body)
  t.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer')
  const { payload, protectedHeader } = await jwtVerify(form.get('assertion') ?? '', publicKey, {
    currentDate: new Date(clock.now()),
  })
  t.match(protectedHeader, { alg: 'RS256', kid: 'key-1' })
  t.same(payload, {
    iss: 'puller@project.iam.gserviceaccount.com',
    aud: `${url.href}token`,
    scope: 'https://www.googleapis.com/auth/cloud-platform',
    iat: clock.now() / 1000,
    exp: clock.now() / 1000 + 3600,
  })
})

t.test('googleCredentials() keeps a token for its life', async t => {
  const { onMachine, asked, clock } = await startGoogle(t)
  const source = onMachine()
  await source.get(name)

  clock.advance(3_239_999)
  await source.get(name)
  t.equal(asked.length, 1)
  clock.advance(350_001)

  t.equal((await source.get(name))?.password, 'hunter2-2')
})
