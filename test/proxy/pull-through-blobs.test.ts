import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { digestOf, type Digest } from '../../lib/oci/digest.ts'
import { BlobUnknownError } from '../../lib/oci/errors.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { UpstreamError } from '../../lib/upstream/errors.ts'
import {
  app,
  content,
  filesBelow,
  mebibyte,
  openBytes,
  pull,
  startMirror,
  until,
  type Mirror,
} from '../support/mirror.ts'
import { hold, hooked } from '../support/stores.ts'

const other = parseRepositoryName('other/secret')

t.test(
  'open() answers BlobUnknownError for what the upstream does not have, UpstreamError for trouble',
  async t => {
    const mirror = await startMirror(t)
    const digest = digestOf(Buffer.from('nowhere'))

    await t.rejects(mirror.repository.blobs.open(digest), BlobUnknownError)
    mirror.upstream.failNext({ status: 500, times: 5 })
    await t.rejects(mirror.repository.blobs.open(digest), UpstreamError)
  },
)

t.test(
  'stat() asks with HEAD, downloads nothing, and lets a push go on when the upstream is in trouble',
  async t => {
    const mirror = await startMirror(t)
    const digest = mirror.upstream.addBlob(app, content(1000))

    t.match(await mirror.repository.blobs.stat(digest), { digest, size: 1000 })
    t.equal(mirror.upstream.bytesSent, 0)
    mirror.upstream.failNext({ status: 500, times: 5 })
    await t.rejects(mirror.repository.blobs.stat(digest), BlobUnknownError)
  },
)

t.test('open() serves a stored blob without the upstream', async t => {
  const mirror = await startMirror(t)
  const bytes = content(1000)
  const digest = mirror.upstream.addBlob(app, bytes)
  await pull(mirror, digest)
  const asked = mirror.upstream.requests.length

  t.ok((await pull(mirror, digest)).equals(bytes))
  t.equal(mirror.upstream.requests.length, asked)
})

t.test('open() never shows a blob of another repository that the upstream does not confirm', async t => {
  const mirror = await startMirror(t)
  const digest = mirror.upstream.addBlob(other, content(1000))
  const secret = await mirror.registry.repository(other).blobs.open(digest)
  if (secret.kind === 'bytes') for await (const _ of await secret.read());

  await t.rejects(mirror.repository.blobs.open(digest), BlobUnknownError)
  await t.rejects(mirror.repository.blobs.stat(digest), BlobUnknownError)
})

t.test('open() of a running fill in another repository waits for the upstream to confirm it', async t => {
  const mirror = await startMirror(t)
  const bytes = content(100_000)
  const digest = mirror.upstream.addBlob(other, bytes)
  mirror.upstream.hold(1000)
  const body = await mirror.registry.repository(other).blobs.open(digest)
  await mirror.upstream.held()

  await t.rejects(mirror.repository.blobs.open(digest), BlobUnknownError, 'not confirmed')
  mirror.upstream.addBlob(app, bytes)
  const joined = pull(mirror, digest)
  mirror.upstream.release()
  if (body.kind === 'bytes') for await (const _ of await body.read());

  t.ok((await joined).equals(bytes))
  t.equal(mirror.upstream.count(/^GET .*\/blobs\//), 1, 'one download for both')
  t.match(await mirror.local.repository(app).blobs.stat(digest), { size: bytes.length }, 'linked to both')
})

t.test('open() joins no fill unconfirmed that another repository began at the same moment', async t => {
  const bothLooked = hold()
  let looks = 0
  const mirror = await startMirror(t, {
    wrapDriver: driver =>
      hooked(driver, async ({ action, path, when }) => {
        if (action !== 'stat' || when !== 'before' || !path.includes('/blobs/') || ++looks > 2) return
        if (looks === 2) bothLooked.release()
        await bothLooked.released
      }),
  })
  const digest = mirror.upstream.addBlob(other, content(1000))
  const theirs = mirror.registry.repository(other).blobs.open(digest)

  await t.rejects(mirror.repository.blobs.open(digest), BlobUnknownError)
  t.match(await theirs, { size: 1000 })
  await t.rejects(mirror.local.repository(app).blobs.stat(digest), BlobUnknownError, 'not linked')
})

t.test('open() does not take the refusal of another repository’s fill for its own', async t => {
  const fillLooks = hold()
  let looks = 0
  const mirror = await startMirror(t, {
    wrapDriver: driver =>
      hooked(driver, async ({ action, path, when }) => {
        // The first look is the request's, the second its fill's.
        if (action === 'stat' && when === 'before' && path.includes('/blobs/') && ++looks === 2)
          await fillLooks.released
      }),
  })
  const bytes = content(1000)
  const digest = mirror.upstream.addBlob(app, bytes)
  const refused = mirror.registry.repository(other).blobs.open(digest)
  await until(() => mirror.fills.find(digest) !== undefined)
  const ours = Promise.all([pull(mirror, digest), pull(mirror, digest)])
  await until(() => mirror.fills.find(digest)?.isClaimedBy(app) ?? false)

  fillLooks.release()

  await t.rejects(refused, BlobUnknownError)
  for (const received of await ours) t.ok(received.equals(bytes))
})

t.test('bring() is left by its caller’s signal, and the fill goes on', async t => {
  const mirror = await startMirror(t)
  const digest = mirror.upstream.addBlob(app, content(mebibyte))
  mirror.upstream.hold(1000)
  const leaving = new AbortController()
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      layers: [{ mediaType: mediaTypes.octetStream, digest, size: mebibyte }],
    }),
  )
  const pushing = mirror.repository.manifests.put(
    manifest,
    mediaTypes.ociManifest,
    digestReference(digestOf(manifest)),
    { signal: leaving.signal },
  )
  await mirror.upstream.held()
  await until(() => (mirror.fills.find(digest)?.bytesStored ?? 0) > 0)

  leaving.abort(new Error('gone'))

  await t.rejects(pushing, { message: 'gone' })
  const fill = mirror.fills.find(digest)
  mirror.upstream.release()
  t.match(await fill?.settled, { kind: 'stored' })
})

t.test('open() confirms a stored blob with HEAD only, and with GET where HEAD is refused', async t => {
  for (const headRefused of [false, true]) {
    const mirror = await startMirror(t, { headRefused })
    const bytes = content(1_000_000)
    const digest = mirror.upstream.addBlob(other, bytes)
    mirror.upstream.addBlob(app, bytes)
    const first = await mirror.registry.repository(other).blobs.open(digest)
    if (first.kind === 'bytes') for await (const _ of await first.read());

    t.ok((await pull(mirror, digest)).equals(bytes))
    t.match(await mirror.local.repository(app).blobs.stat(digest), { size: bytes.length })
  }
})

t.test('a pushed blob is served without the upstream', async t => {
  const mirror = await startMirror(t)
  const bytes = content(5000)
  const digest = digestOf(bytes)
  const session = await mirror.repository.uploads?.start()
  const { Readable } = await import('node:stream')
  await session?.append(Readable.from([bytes]), 0)
  await session?.complete(digest)

  t.ok((await pull(mirror, digest)).equals(bytes))
  t.equal(mirror.upstream.requests.length, 0)
})

/** Pushes a manifest that needs the blob. */
async function pushManifestOf(mirror: Mirror, digest: Digest, size: number): Promise<void> {
  const layers = [{ mediaType: mediaTypes.octetStream, digest, size }]
  const manifest = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, layers }),
  )
  await mirror.repository.manifests.put(manifest, mediaTypes.ociManifest, digestReference(digestOf(manifest)))
}

t.test('open() of what there is no room for goes through each time, and links nothing', async t => {
  const mirror = await startMirror(t, { hasRoom: false })
  const bytes = content(mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)

  t.ok((await pull(mirror, digest)).equals(bytes))
  t.ok((await pull(mirror, digest)).equals(bytes))

  t.equal(mirror.upstream.count(/^GET .*\/blobs\//), 2)
  t.same(filesBelow(mirror.root), [])
  t.same(mirror.used, [])
})

t.test('open() fetches anew for who reads when nothing is left of what went through', async t => {
  const mirror = await startMirror(t, { hasRoom: false })
  const bytes = content(mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  const body = await openBytes(mirror, digest)
  t.match(await mirror.fills.find(digest)?.settled, { kind: 'passed' })

  t.ok((await buffer(await body.read())).equals(bytes))
  await mirror.fills.find(digest)?.settled
  const reader = await body.openReader?.()
  const into = Buffer.alloc(100)

  t.equal(await reader?.readInto(into, 1000), 100)
  t.ok(into.equals(bytes.subarray(1000, 1100)))
  await reader?.close()
  t.equal(mirror.upstream.count(/^GET .*\/blobs\//), 3)
})

t.test('open() of what was kept, and then removed, before it was read fetches anew', async t => {
  const mirror = await startMirror(t)
  const bytes = content(mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  const body = await openBytes(mirror, digest)
  await mirror.fills.find(digest)?.settled
  await mirror.stores.blobs.remove(digest)

  t.ok((await buffer(await body.read())).equals(bytes))
})

t.test('open() tells of a use when the blob comes from the store', async t => {
  const mirror = await startMirror(t)
  const digest = mirror.upstream.addBlob(app, content(1000))
  await pull(mirror, digest)
  t.same(mirror.used, [])

  await pull(mirror, digest)

  t.same(mirror.used, [digest])
})

t.test('bring() keeps what a push needs whether there is room or not', async t => {
  const mirror = await startMirror(t, { hasRoom: false })
  const digest = mirror.upstream.addBlob(app, content(mebibyte))

  await pushManifestOf(mirror, digest, mebibyte)

  t.match(await mirror.local.repository(app).blobs.stat(digest), { size: mebibyte })
  t.equal(mirror.stores.mirroredContent.get(digest), undefined, 'it is not the mirror’s to remove')
})

t.test('bring() takes what is here out of the mirror’s hands', async t => {
  const mirror = await startMirror(t)
  const digest = mirror.upstream.addBlob(app, content(mebibyte))
  await pull(mirror, digest)
  t.match(mirror.stores.mirroredContent.get(digest), { repositories: [app] })

  await pushManifestOf(mirror, digest, mebibyte)

  t.equal(mirror.stores.mirroredContent.get(digest), undefined)
})

t.test('bring() fetches anew what went through a fill that it joined at its very end', async t => {
  const ending = hold()
  const cleared = hold()
  const mirror = await startMirror(t, {
    hasRoom: false,
    wrapDriver: driver =>
      hooked(driver, async ({ action, path, when }) => {
        if (action !== 'remove' || when !== 'before' || !path.includes('/_fills/')) return
        ending.release()
        await cleared.released
      }),
  })
  const bytes = content(mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  const pulling = pull(mirror, digest)
  await ending.released
  const first = mirror.fills.find(digest)
  if (first === undefined) throw new Error('expected a fill')
  const joining = hold()
  const { claim } = first
  first.claim = one => {
    claim.call(first, one)
    joining.release()
  }

  const pushing = pushManifestOf(mirror, digest, mebibyte)
  await joining.released
  cleared.release()
  await pushing

  t.match(await first.settled, { kind: 'passed' })
  t.ok((await pulling).equals(bytes))
  t.match(await mirror.local.repository(app).blobs.stat(digest), { size: mebibyte })
})
