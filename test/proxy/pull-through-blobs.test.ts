import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { BlobUnknownError } from '../../lib/oci/errors.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { UpstreamError } from '../../lib/upstream/errors.ts'
import { app, content, mebibyte, pull, startMirror, until } from '../support/mirror.ts'
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
