// Whom a client of an upstream can be made to talk to by what others say: redirects, token realms, names.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createAddressGuard, type Resolve } from '../../lib/upstream/address-guard.ts'
import { readBody } from '../../lib/upstream/answer.ts'
import { withCircuit } from '../../lib/upstream/circuit.ts'
import { RequestQueue } from '../../lib/upstream/request-queue.ts'
import { Transport } from '../../lib/upstream/transport.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { readAll, silentLogger, startClient, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const content = randomBytes(1000)
const digest = digestOf(content)

/** A server on loopback that must not be asked. */
async function startSecret(t: Test) {
  const asked: string[] = []
  const server = createServer((req, res) => {
    asked.push(`${req.method} ${req.url}`)
    res.end(content)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  return { asked, port: (server.address() as AddressInfo).port }
}

t.test('Transport.send() follows no redirect to an address that is not public', async t => {
  const secret = await startSecret(t)
  const { fake, client, counted } = await startClient(t, { upstream: { retries: 2 } })
  fake.addBlob(name, content)
  for (const host of [
    'localhost',
    'a.localhost',
    '127.0.0.2',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '169.254.169.254',
  ]) {
    fake.failNext({ status: 307, headers: { Location: `http://${host}:${secret.port}/latest/meta-data` } })

    await t.rejects(
      client.openBlob(name, digest),
      upstreamError('invalid', { message: /trustedhosts would allow it/ }),
      host,
    )
  }
  t.same(secret.asked, [])
  t.same(await counted('blob_open'), { 307: 6 }, 'nothing is tried again')
})

t.test('Transport.send() asks no token service at an address that is not public', async t => {
  const secret = await startSecret(t)
  const { fake, client } = await startClient(t, { auth: 'bearer' })
  fake.addBlob(name, content)
  fake.behaviour.challenges = [`Bearer realm="http://localhost:${secret.port}/token",service="x"`]

  await t.rejects(client.openBlob(name, digest), upstreamError('invalid'))
  t.same(secret.asked, [])
})

t.test('Transport.send() is led to whatever hosts are trusted', async t => {
  const secret = await startSecret(t)
  const { fake, client } = await startClient(t, { upstream: { trustedHosts: ['Localhost:1'] } })
  fake.failNext({ status: 307, headers: { Location: `http://localhost:${secret.port}/blob` } })

  t.ok((await readAll(await client.openBlob(name, digest))).equals(content))
  t.same(secret.asked, ['GET /blob'])
})

t.test('createUpstream() trusts no host that a client has named', async t => {
  const { fake, client } = await startClient(t, { upstream: { urlFrom: 'client' } })
  fake.addBlob(name, content)

  await t.rejects(client.openBlob(name, digest), upstreamError('invalid', { message: /"127\.0\.0\.1"/ }))
  t.same(fake.requests, [])
})

t.test('An address that is refused opens no circuit', async t => {
  const { client, clock } = await startClient(t, { upstream: { urlFrom: 'client' } })
  const guarded = withCircuit(client, { clock, logger: silentLogger(), failures: 2 })
  for (let i = 0; i < 5; i++) await t.rejects(guarded.openBlob(name, digest), upstreamError('invalid'))

  t.equal(guarded.state().kind, 'closed')
})

t.test('Transport.send() connects to the very address that was checked', async t => {
  const secret = await startSecret(t)
  const answers = ['127.0.0.1', '127.0.0.1']
  const resolve: Resolve = (_hostname, _options, callback) => {
    callback(null, [{ address: answers.shift() ?? '8.8.8.8', family: 4 }])
  }
  const start = (trusted: readonly string[]) => {
    const transport = new Transport({
      upstream: 'rebind.test',
      userAgent: 'test',
      guard: createAddressGuard(trusted, resolve),
      queue: new RequestQueue({ upstream: 'rebind.test' }),
      clock: new ManualClock(),
      onAnswer: () => {},
    })
    t.teardown(() => transport.close())
    const url = new URL(`http://rebind.test:${secret.port}/x`)
    return transport.send({ operation: 'x', method: 'GET', url })
  }

  await t.rejects(start([]), upstreamError('invalid', { message: /"rebind\.test"/ }))
  t.same(secret.asked, [])

  const answer = await start(['rebind.test'])
  t.ok((await readBody(answer, 'rebind.test', 10_000)).equals(content))
  t.equal(answers.length, 0, 'each connection looks up once')
})
