import { randomBytes } from 'node:crypto'
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import type { FakeUpstream } from '../support/fake-upstream.ts'
import { until } from '../support/until.ts'
import { readAll, startClient, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const other = parseRepositoryName('library/redis')
const content = randomBytes(1_000)
const digest = digestOf(content)
const credentials = { username: 'me', password: 'hunter2:ü' }
const tokenService = /\/token/

t.test('Authenticator tells denial from trouble at the token service', async t => {
  const { fake, client, clock } = await startClient(t, { auth: 'bearer' })
  fake.addBlob(name, content)
  const cases = [
    [401, 'denied'],
    [403, 'denied'],
    [429, 'limited'],
    [500, 'unavailable'],
    [404, 'invalid'],
    [400, 'invalid'],
  ] as const
  for (const [status, failure] of cases) {
    fake.failNext({ status, match: tokenService, headers: { 'Retry-After': '3' } })
    const more = status === 429 ? { retryAfterMs: 3_000 } : {}
    await t.rejects(client.statBlob(name, digest), upstreamError(failure, { status, ...more }), `${status}`)
    if (failure === 'denied') clock.advance(5_000)
    t.equal((await client.statBlob(name, digest)).size, 1_000, 'the next is tried as if nothing was')
    fake.revokeTokens()
  }
  fake.failNext({ status: 'reset', times: 2, match: tokenService })
  await t.rejects(client.statBlob(name, digest), upstreamError('unavailable'), 'no answer')
})

t.test('Authenticator rejects a token service that gives no token', async t => {
  const { fake, client } = await startClient(t, { auth: 'bearer' })
  fake.addBlob(name, content)
  const location = (path: string) => ({ status: 302, match: tokenService, headers: { Location: path } })
  fake.addManifest('m', 'empty', {})
  fake.addManifest('m', 'text', Buffer.from('token-secret'))
  fake.addManifest('m', 'lines', { token: 'a\nb' })
  fake.behaviour.auth = 'none'
  for (const tag of ['empty', 'text', 'lines']) {
    fake.failNext({ status: 401, headers: { 'WWW-Authenticate': `Bearer realm="${fake.url.origin}/token"` } })
    fake.failNext(location(`/v2/m/manifests/${tag}`))
    const err = await client.openBlob(name, digest).catch((err: unknown) => err)
    t.match(err, upstreamError('invalid'), tag)
    t.notMatch(err, { cause: Error }, 'what JSON.parse() complains of may be a token')
  }
})

t.test('Authenticator takes 401 for an answer where nothing better can be sent', async t => {
  for (const challenge of [
    '',
    'Negotiate',
    'Basic realm="x"',
    'Bearer realm="file:///etc/passwd"',
    'Bearer service="x"',
  ]) {
    const { fake, client } = await startClient(t, { auth: 'basic', challenges: [challenge] })

    await t.rejects(client.openBlob(name, digest), upstreamError('denied', { status: 401 }), challenge)
    t.equal(fake.requests.length, 1)
  }
})

t.test('Authenticator sends refused credentials once per request and does not loop', async t => {
  const sent = { username: 'me', password: 'wrong' }
  const basic = await startClient(t, { auth: 'basic', credentials, sent })
  await t.rejects(basic.client.openBlob(name, digest), upstreamError('denied', { status: 401 }))
  t.equal(basic.fake.requests.length, 2, 'without, with')
  await t.rejects(basic.client.openBlob(name, digest), upstreamError('denied'))
  t.equal(basic.fake.requests.length, 3, 'with')

  const bearer = await startClient(t, { auth: 'bearer', credentials, sent })
  await t.rejects(bearer.client.openBlob(name, digest), upstreamError('denied', { status: 401 }))
  t.equal(bearer.fake.requests.length, 1)
  t.equal(bearer.fake.tokenRequests.length, 1)
})

t.test('Authenticator asks for a denied token again after 5 s, and not before', async t => {
  const { fake, client, clock } = await startClient(t, { auth: 'bearer', credentials })
  fake.addBlob(name, content)
  fake.addBlob(other, content)
  fake.failNext({ status: 401, match: tokenService })
  await t.rejects(client.statBlob(name, digest), upstreamError('denied', { status: 401 }))

  clock.advance(4_999)
  await t.rejects(client.statBlob(name, digest), upstreamError('denied', { status: 401 }))
  t.equal(fake.tokenRequests.length, 1)
  t.equal((await client.statBlob(other, digest)).size, 1_000, 'another repository is another question')
  clock.advance(1)

  t.equal((await client.statBlob(name, digest)).size, 1_000)
})

t.test('Authenticator does not fetch a second token where a fresh one was refused', async t => {
  const { fake, client } = await startClient(t, { auth: 'bearer' })
  fake.failNext({ status: 401, times: 9, headers: { 'WWW-Authenticate': await challengeOf(fake.url) } })

  await t.rejects(client.openBlob(name, digest), upstreamError('denied', { status: 401 }))
  t.equal(fake.requests.length - 1, 2)
  t.equal(fake.tokenRequests.length, 1)

  await t.rejects(client.openBlob(name, digest), upstreamError('denied'))
  t.equal(fake.requests.length - 1, 4, 'a kept one is fetched anew once')
  t.equal(fake.tokenRequests.length, 2)
})

t.test('Authenticator sends nothing before it is challenged, and then at once', async t => {
  const cases = [
    ['none', [false, false]],
    ['basic', [false, true, true]],
    ['bearer', [false, true, true]],
  ] as const
  for (const [auth, sent] of cases) {
    const { fake, client } = await startClient(t, { auth, credentials })
    fake.addBlob(name, content)

    for (const _ of [1, 2]) t.ok((await readAll(await client.openBlob(name, digest))).equals(content))

    t.same(
      fake.requests.map(({ headers }) => headers.authorization !== undefined),
      sent,
      auth,
    )
  }
})

t.test('Authenticator asks the token service as it was told to', async t => {
  const { fake, client } = await startClient(t, { auth: 'bearer', credentials })
  fake.addBlob(name, content)
  await client.statBlob(name, digest)

  const [request] = fake.tokenRequests
  const query = new URL(request?.path ?? '', fake.url).searchParams
  t.same(Object.fromEntries(query), {
    service: 'fake, registry',
    scope: `repository:${name}:pull`,
    account: 'me',
  })
  const expected = `Basic ${Buffer.from('me:hunter2:ü').toString('base64')}`
  t.equal(request?.headers.authorization, expected)

  const anonymous = await startClient(t, { auth: 'bearer' })
  anonymous.fake.addBlob(name, content)
  await anonymous.client.statBlob(name, digest)
  t.notMatch(anonymous.fake.tokenRequests[0]?.path, /account/)
  t.equal(anonymous.fake.tokenRequests[0]?.headers.authorization, undefined)
})

t.test('Authenticator fetches one token for all who wait, and one for each scope', async t => {
  const { fake, client } = await startClient(t, { auth: 'bearer' })
  fake.addBlob(name, content)
  fake.addBlob(other, content)

  await Promise.all(Array.from({ length: 20 }, () => client.statBlob(name, digest)))
  t.equal(fake.tokenRequests.length, 1)

  await Promise.all([client.statBlob(name, digest), client.statBlob(other, digest)])
  t.equal(fake.tokenRequests.length, 2)
})

t.test('Authenticator lets one leave while others wait for the same token', async t => {
  const { fake, client } = await startClient(t, { auth: 'bearer' })
  fake.addBlob(name, content)
  await client.statBlob(name, digest)
  fake.revokeTokens()
  fake.addBlob(other, content)
  const controller = new AbortController()
  fake.hold('headers')

  const leaving = client.statBlob(other, digest, { signal: controller.signal })
  const staying = client.statBlob(other, digest)
  await fake.held()
  controller.abort(new Error('client has gone'))
  await t.rejects(leaving, { message: 'client has gone' })
  fake.release()

  t.equal((await staying).size, 1_000)
  t.equal(fake.tokenRequests.length, 2)
})

t.test('Authenticator renews tokens before they end, while they are still used', async t => {
  const cases: readonly (readonly [expiresIn: number | undefined, freshForMs: number])[] = [
    [undefined, 54_000],
    [0, 54_000],
    [30, 27_000],
    [3600, 3_240_000],
  ]
  for (const [expiresInSeconds, freshForMs] of cases) {
    const { fake, client, clock } = await startClient(t, { auth: 'bearer', expiresInSeconds })
    fake.addBlob(name, content)
    await client.statBlob(name, digest)

    clock.advance(freshForMs - 1)
    await client.statBlob(name, digest)
    t.equal(fake.tokenRequests.length, 1, `${expiresInSeconds}: kept`)
    clock.advance(1)
    await client.statBlob(name, digest)
    await until(() => fake.tokenRequests.length === 2)
    t.same(tokensSent(fake), [undefined, 'token-1', 'token-1', 'token-1'], `${expiresInSeconds}: still used`)
    await until(async () => {
      await client.statBlob(name, digest)
      return tokensSent(fake).at(-1) === 'token-2'
    })
  }
})

t.test('Authenticator does not use a token in the last moments of its life', async t => {
  const cases: readonly (readonly [expiresIn: number | undefined, goodForMs: number])[] = [
    [undefined, 57_000],
    [30, 28_500],
    [3600, 3_590_000],
  ]
  for (const [expiresInSeconds, goodForMs] of cases) {
    const { fake, client, clock } = await startClient(t, { auth: 'bearer', expiresInSeconds })
    fake.addBlob(name, content)
    await client.statBlob(name, digest)

    clock.advance(goodForMs)
    await client.statBlob(name, digest)

    t.same(tokensSent(fake), [undefined, 'token-1', 'token-2'], `${expiresInSeconds}: no other challenge`)
  }
})

t.test('Authenticator goes on with a good token while the token service is in trouble', async t => {
  const { fake, client, clock, logLines } = await startClient(t, { auth: 'bearer', expiresInSeconds: 3600 })
  fake.addBlob(name, content)
  await client.statBlob(name, digest)
  fake.failNext({ status: 400, match: tokenService })
  clock.advance(3_300_000)

  t.equal((await client.statBlob(name, digest)).size, 1_000)
  await until(() => logLines.length > 0)

  t.match(logLines[0], /answered 400.*cannot renew token/)
  t.notMatch(logLines[0], /token-1/)
})

t.test('Authenticator renews a refused token once for all who held it', async t => {
  const { fake, client } = await startClient(t, { auth: 'bearer', tokenMember: 'access_token' })
  fake.addBlob(name, content)
  await client.statBlob(name, digest)
  fake.revokeTokens()

  await Promise.all(Array.from({ length: 10 }, () => client.statBlob(name, digest)))

  t.equal(fake.tokenRequests.length, 2)
})

t.test('Authenticator follows an upstream that changes its mind', async t => {
  const { fake, client } = await startClient(t, { auth: 'bearer', credentials })
  fake.addBlob(name, content)
  await client.statBlob(name, digest)

  fake.behaviour.auth = 'basic'
  t.equal((await client.statBlob(name, digest)).size, 1_000, 'to Basic')
  fake.behaviour.auth = 'bearer'
  fake.revokeTokens()
  await client.statBlob(name, digest).catch(() => {})
  t.equal((await client.statBlob(name, digest)).size, 1_000, 'and back')
})

t.test('Authenticator keeps credentials from a token service without TLS elsewhere', async t => {
  const { fake, client, logLines } = await startClient(t, { auth: 'bearer', credentials })
  fake.behaviour.challenges = ['Bearer realm="http://token.invalid/token"']
  for (const _ of [1, 2]) await t.rejects(client.openBlob(name, digest), upstreamError('unavailable'))

  t.equal(logLines.filter(line => line.includes('credentials not sent')).length, 1, 'said once')
})

t.test('Authenticator keeps credentials from a token service of another domain', async t => {
  for (const trustedHosts of [[], ['token.invalid']]) {
    const { fake, client, logLines } = await startClient(t, {
      auth: 'bearer',
      credentials,
      upstream: { trustedHosts },
    })
    fake.behaviour.challenges = ['Bearer realm="https://token.invalid/token"']
    await t.rejects(client.openBlob(name, digest), upstreamError('unavailable'))

    const warnings = logLines.filter(line => line.includes('credentials not sent'))
    t.equal(warnings.length, 1 - trustedHosts.length, `trusted: ${trustedHosts.join()}`)
  }
})

t.test('Authenticator takes credentials out of the URL', async t => {
  const url = (at: URL) => new URL(`http://me:${encodeURIComponent(credentials.password)}@${at.host}/`)
  const { fake, client } = await startClient(t, { auth: 'basic', credentials, sent: undefined, url })
  fake.addBlob(name, content)

  t.equal((await client.statBlob(name, digest)).size, 1_000)
  t.equal(client.name, fake.url.host)
})

t.test('Authenticator shows no secret in errors, logs and metrics', async t => {
  const started = await startClient(t, { auth: 'bearer', credentials, cdn: true })
  const { fake, client, clock, logLines, counted } = started
  fake.addBlob(name, content)
  const shown: string[] = []
  for (const match of [tokenService, /v2/, /cdn/]) {
    for (const status of [401, 500, 'reset'] as const) {
      await client.statBlob(name, digest)
      if (match === tokenService) fake.revokeTokens()
      fake.failNext({ status, match, times: 2 })
      await client.openBlob(name, digest).catch((err: unknown) => shown.push(everything(err)))
      while (fake.pendingFailures > 0) {
        clock.advance(5_000)
        await client.openBlob(name, digest).catch(() => {})
      }
      clock.advance(5_000)
    }
  }

  t.ok(shown.length > 6)
  shown.push(...logLines, JSON.stringify(await counted('token')))
  for (const text of shown) t.notMatch(text, /hunter2|token-\d|signature=secret|aHVudGVyMg/)
})

/** The bearer token of each request to the registry. */
function tokensSent(fake: FakeUpstream): readonly (string | undefined)[] {
  return fake.requests.map(({ headers }) => headers.authorization?.replace('Bearer ', ''))
}

async function challengeOf(url: URL): Promise<string> {
  const answer = await fetch(new URL('/v2/', url))
  return answer.headers.get('www-authenticate') ?? ''
}

function everything(err: unknown): string {
  if (!(err instanceof Error)) return String(err)
  return `${JSON.stringify(err)} ${err.stack} ${everything(err.cause)}`
}
