// How much of an upstream one client uses at a time: its places, and the bytes of its blobs.
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { digestOf, type Digest } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { parseReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { withCircuit } from '../../lib/upstream/circuit.ts'
import type { Upstream, UpstreamBody } from '../../lib/upstream/upstream.ts'
import { until } from '../support/until.ts'
import { readAll, silentLogger, startClient, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const other = parseRepositoryName('library/redis')
const content = randomBytes(300_000)
const digest = digestOf(content)
const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }))
const latest = parseReference('latest')

/** Opens so many blobs, all of which have places. */
function openMany(client: Upstream, howMany: number, of: Digest = digest): Promise<readonly UpstreamBody[]> {
  return Promise.all(Array.from({ length: howMany }, () => client.openBlob(name, of)))
}

t.test(
  'openBlob() turns callers away at once where too many wait, and opens no circuit for that',
  async t => {
    const { fake, client, clock, queued } = await startClient(t, {
      upstream: { limits: { maxRequests: 4, maxQueued: 2 } },
    })
    fake.addBlob(name, content)
    const guarded = withCircuit(client, { clock, logger: silentLogger(), failures: 2 })
    const bodies = await openMany(guarded, 3)
    const waiting = [guarded.openBlob(name, digest), guarded.openBlob(name, digest)]
    await until(async () => (await queued()) === 2)

    for (let i = 0; i < 5; i++) {
      await t.rejects(
        guarded.openBlob(name, digest),
        upstreamError('unavailable', { retryAfterMs: 1000, asked: false }),
      )
    }

    t.equal(guarded.state().kind, 'closed')
    for (const body of bodies) await body.dispose()
    for (const body of await Promise.all(waiting)) t.ok((await readAll(body)).equals(content))
    t.equal(await queued(), 0)
  },
)

t.test('openBlob() waits for a place no longer than its caller', async t => {
  const { fake, client, queued } = await startClient(t, { upstream: { limits: { maxRequests: 4 } } })
  fake.addBlob(name, content)
  const bodies = await openMany(client, 3)
  const leaving = new AbortController()
  const reason = new Error('client has gone')
  const opening = client.openBlob(name, digest, { signal: leaving.signal })
  await until(async () => (await queued()) === 1)

  leaving.abort(reason)

  await t.rejects(opening, reason)
  t.equal(await queued(), 0)
  for (const body of bodies) await body.dispose()
})

t.test('A manifest passes while blobs have all places that they may have', async t => {
  const { fake, client } = await startClient(t, { upstream: { limits: { maxRequests: 4 } } })
  fake.addBlob(name, content)
  fake.addManifest(name, 'latest', index, mediaTypes.ociIndex)
  const bodies = await openMany(client, 3)
  const fourth = client.openBlob(name, digest)

  await client.manifest(name, latest)
  await client.statBlob(name, digest)

  t.equal(fake.count(/^GET .*blobs/), 3)
  for (const body of bodies) await body.dispose()
  await (await fourth).dispose()
})

t.test('openBlob() serves repositories in turns', async t => {
  const { fake, client, queued } = await startClient(t, { upstream: { limits: { maxRequests: 2 } } })
  for (const repository of [name, other]) fake.addBlob(repository, content)
  const first = await client.openBlob(name, digest)
  const opening = [name, name, name, other].map(repository => client.openBlob(repository, digest))
  await until(async () => (await queued()) === 4)

  await first.dispose()
  await Promise.all(opening.map(async body => readAll(await body)))

  const repositories = fake.requests.map(({ path }) => /library\/(\w+)/.exec(path)?.[1])
  t.same(repositories, ['nginx', 'nginx', 'redis', 'nginx', 'nginx'])
})

t.test('No way for a request to end keeps its place', async t => {
  const { fake, client, queued } = await startClient(t, {
    auth: 'bearer',
    cdn: true,
    timeouts: { headersMs: 1_000 },
    upstream: { limits: { maxRequests: 2 } },
  })
  fake.addBlob(name, content)
  const absent = digestOf(Buffer.from('absent'))
  fake.addManifest(name, 'latest', index, mediaTypes.ociIndex)
  const abandoned = async () => {
    const leaving = new AbortController()
    const body = await client.openBlob(name, digest, { signal: leaving.signal })
    leaving.abort(new Error('client has gone'))
    await readAll(body)
  }
  const uses: Record<string, () => Promise<unknown>> = {
    'read to the end': async () => readAll(await client.openBlob(name, digest)),
    'disposed of twice': async () => {
      const body = await client.openBlob(name, digest)
      await body.dispose()
      await body.dispose()
    },
    'left in the middle': async () => {
      for await (const _ of await client.openBlob(name, digest)) break
    },
    aborted: abandoned,
    'not found': () => client.openBlob(name, absent),
    stat: () => client.statBlob(name, digest),
    'stat not found': () => client.statBlob(name, absent),
    manifest: () => client.manifest(name, latest),
    'manifest known': () => client.manifest(name, latest, { known: digestOf(index) }),
    'manifest stat': () => client.statManifest(name, latest),
    tags: () => client.tags(name),
    referrers: () => client.referrers(name, digest),
    denied: () => {
      fake.failNext({ status: 401, times: 2 })
      return client.openBlob(name, digest)
    },
    'token revoked': () => {
      fake.revokeTokens()
      return client.manifest(name, latest)
    },
    'redirect to nowhere': () => {
      fake.failNext({ status: 302 })
      return client.openBlob(name, digest)
    },
    reset: () => {
      fake.failNext({ status: 'reset', times: 2 })
      return client.openBlob(name, digest)
    },
    encoded: async () => {
      fake.behaviour.extraHeaders = { 'Content-Encoding': 'gzip' }
      await client.openBlob(name, digest).finally(() => (fake.behaviour.extraHeaders = {}))
    },
    cut: async () => {
      fake.behaviour.cutAfterBytes = 100_000
      fake.behaviour.cutTimes = 1
      await readAll(await client.openBlob(name, digest))
    },
    timeout: async () => {
      fake.hold('headers')
      await client.openBlob(name, digest).finally(() => fake.release())
    },
  }

  for (const [how, use] of Object.entries(uses)) {
    for (let i = 0; i < (how === 'timeout' ? 2 : 3); i++) {
      await use().catch(() => {})
    }
    fake.forgetFailures()
    const bodies = await openMany(client, 1)
    await client.statManifest(name, latest)
    for (const body of bodies) await body.dispose()
    t.equal(await queued(), 0, how)
  }
})

t.test('UpstreamBody is read no faster than its upstream may send, whatever its reader does', async t => {
  const { fake, client, clock } = await startClient(t, { upstream: { limits: { bytesPerSecond: 100_000 } } })
  fake.addBlob(name, content)
  const startedAtMs = clock.now()
  const state = { isRead: false }
  const reading = (async () => readAll(await client.openBlob(name, digest)))()
  void reading.finally(() => (state.isRead = true))

  for (;;) {
    await until(() => state.isRead || clock.sleeping > 0)
    if (state.isRead) break
    clock.advance(10)
  }

  t.ok((await reading).equals(content))
  const tookMs = clock.now() - startedAtMs
  t.ok(tookMs >= 2_900 && tookMs <= 3_100, `${tookMs} ms for three seconds' worth of bytes`)
})

t.test(
  'UpstreamBody ends its waiting for the rate when it is disposed of, or its caller has left',
  async t => {
    const { fake, client, clock } = await startClient(t, { upstream: { limits: { bytesPerSecond: 10 } } })
    fake.addBlob(name, content)
    const body = await client.openBlob(name, digest)
    const reading = t.rejects(readAll(body), upstreamError('unavailable'))
    await clock.slept()

    await body.dispose()

    await reading
    const leaving = new AbortController()
    const reason = new Error('client has gone')
    const abandoned = t.rejects(
      readAll(await client.openBlob(name, digest, { signal: leaving.signal })),
      reason,
    )
    await clock.slept()
    leaving.abort(reason)
    await abandoned
    t.equal(clock.sleeping, 0)
  },
)
