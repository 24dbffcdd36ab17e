// What Authenticator does with credentials that change, differ, end or are no password.
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import t from 'tap'
import { digestOf } from '../../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import { byPrefix } from '../../../lib/upstream/credentials/by-prefix.ts'
import { fileCredentials } from '../../../lib/upstream/credentials/from-files.ts'
import { staticCredentials } from '../../../lib/upstream/credentials/static.ts'
import type { FakeUpstream } from '../../support/fake-upstream.ts'
import { silentLogger, startClient, upstreamError } from '../../support/upstream-client.ts'
import { startService } from './fake-service.ts'

const name = parseRepositoryName('library/nginx')
const other = parseRepositoryName('library/redis')
const content = randomBytes(1_000)
const digest = digestOf(content)
const credentials = { username: 'me', password: 'hunter2' }

t.test('Authenticator authenticates for each repository as its credentials say', async t => {
  const sent = byPrefix([{ prefix: name, source: staticCredentials(credentials) }], undefined)
  const { fake, client, clock } = await startClient(t, { auth: 'bearer', credentials, sent })
  fake.addBlob(name, content)
  fake.addBlob(other, content)

  t.equal((await client.statBlob(name, digest)).size, 1_000)
  await t.rejects(client.statBlob(other, digest), upstreamError('denied'))
  t.same(tokensSent(fake), [undefined, 'token-1'], 'no token of the other one')

  fake.behaviour.auth = 'basic'
  clock.advance(5_000)
  t.equal((await client.statBlob(name, digest)).size, 1_000)
  await t.rejects(client.statBlob(other, digest), upstreamError('denied'))
})

t.test('Authenticator has refused credentials replaced within the same request', async t => {
  for (const auth of ['basic', 'bearer'] as const) {
    const sent = rotating()
    const { fake, client } = await startClient(t, { auth, credentials: await sent.next(), sent })
    fake.addBlob(name, content)
    t.equal((await client.statBlob(name, digest)).size, 1_000)
    fake.behaviour.credentials = await sent.next()
    fake.revokeTokens()

    t.equal((await client.statBlob(name, digest)).size, 1_000, auth)
    t.equal(sent.refusals, 1)
  }
})

t.test('Authenticator does not take missing credentials for a denial', async t => {
  const sent = fileCredentials({
    upstream: 'fake',
    username: 'me',
    passwordFile: '/no/such/file',
    logger: silentLogger(),
  })
  for (const auth of ['basic', 'bearer'] as const) {
    const { client } = await startClient(t, { auth, credentials, sent })

    await t.rejects(client.statBlob(name, digest), { ...upstreamError('unavailable'), message: /ENOENT/ })
  }
})

t.test('Authenticator exchanges an identity token, and never sends it as a password', async t => {
  const sent = { username: '<token>', password: 'hunter2-identity' }
  const answers = [
    { status: 401, body: 'hunter2' },
    { body: { access_token: 'access-1', refresh_token: 'x' } },
  ]
  const service = await startService(t, () => answers.shift())
  const { fake, client, clock } = await startClient(t, { sent })
  fake.addBlob(name, content)
  const challenge = `Bearer realm="${service.url.href}token",service="fake"`
  fake.failNext({ status: 401, headers: { 'WWW-Authenticate': challenge } })

  const err = await client.statBlob(name, digest).catch((err: unknown) => err)
  t.match(err, upstreamError('denied', { status: 401 }))
  t.notMatch(inspect(err), /hunter2/)
  clock.advance(5_000)
  t.equal((await client.statBlob(name, digest)).size, 1_000)

  t.equal(fake.requests.at(-1)?.headers.authorization, 'Bearer access-1')
  const [, request] = service.asked
  t.match(request, { method: 'POST', path: '/token' })
  t.equal(request?.headers.authorization, undefined)
  t.same(Object.fromEntries(new URLSearchParams(request?.body)), {
    grant_type: 'refresh_token',
    refresh_token: 'hunter2-identity',
    client_id: 'entrepot',
    scope: `repository:${name}:pull`,
    service: 'fake',
  })

  const basic = await startClient(t, { auth: 'basic', credentials, sent })
  for (const _ of [1, 2]) await t.rejects(basic.client.statBlob(name, digest), upstreamError('denied'))
  t.same(new Set(basic.fake.requests.map(({ headers }) => headers.authorization)), new Set([undefined]))
  t.equal(basic.logLines.filter(line => line.includes('identity token')).length, 1, 'said once')
})

/** The bearer token of each request to the registry. */
function tokensSent(fake: FakeUpstream): readonly (string | undefined)[] {
  return fake.requests.map(({ headers }) => headers.authorization?.replace('Bearer ', ''))
}

/** Keeps its credentials, hunter2-1, hunter2-2, …, until they are refused; next() tells which those will be. */
function rotating() {
  let generation = 1
  let kept = 1
  const credentials = (number: number) => ({ username: 'me', password: `hunter2-${number}` })
  return {
    refusals: 0,
    get: async () => credentials(kept),
    next: async () => credentials(generation++),
    refused() {
      this.refusals++
      kept++
    },
  }
}
