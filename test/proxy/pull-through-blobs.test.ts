import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { BlobUnknownError } from '../../lib/oci/errors.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { UpstreamError } from '../../lib/upstream/errors.ts'
import { app, content, pull, startMirror } from '../support/mirror.ts'

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
