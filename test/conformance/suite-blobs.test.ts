// Every way of the official suite's newer form to push a blob, under sha256 and sha512, each with its pull, its HEAD and
// its deletion.
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { digestOf, octetStream, send, withQuery, type Algorithm, type Repository } from './repository.ts'
import { checkSentences, sentence, type Given, type Sentence } from './sentences.ts'

/** Three chunks of the least size that the suite uses. */
const chunkBytes = 1024
const threeChunks = 3 * chunkBytes - 5

interface Blob {
  readonly digest: string
  readonly bytes: Buffer
}

function makeBlob(algorithm: Algorithm, size: number): Blob {
  const bytes = randomBytes(size)
  return { bytes, digest: digestOf(bytes, algorithm) }
}

/** What every push ends with: the blob at the Location, HEAD, GET and DELETE. */
async function checkPushed(
  t: Test,
  repository: Repository,
  { digest, bytes }: Blob,
  location: string,
): Promise<void> {
  t.ok((await send('GET', location)).bytes.equals(bytes), 'GET of the Location')
  for (const method of ['HEAD', 'GET']) {
    const answer = await send(method, repository.blob(digest))
    t.equal(answer.status, 200)
    t.equal(answer.headers.get('content-length'), String(bytes.length))
    t.equal(answer.headers.get('docker-content-digest'), digest)
    t.ok(answer.bytes.equals(method === 'GET' ? bytes : Buffer.alloc(0)))
  }
  t.equal((await send('DELETE', repository.blob(digest))).status, 202)
  t.equal((await send('HEAD', repository.blob(digest))).status, 404)
}

async function pushInChunks(
  t: Test,
  repository: Repository,
  { digest, bytes }: Blob,
  { lastInPut = false, outOfOrder = false },
) {
  let { location } = await send('POST', repository.uploads)
  const transfer = (at: string, start: number, end: number, method: string) =>
    send(method, method === 'PUT' ? withQuery(at, { digest }) : at, {
      body: bytes.subarray(start, end),
      headers: { ...octetStream, 'Content-Range': `${start}-${end - 1}` },
    })
  const endOf = (start: number) => Math.min(start + chunkBytes, bytes.length)
  const methodTo = (end: number) => (lastInPut && end === bytes.length ? 'PUT' : 'PATCH')
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    if (outOfOrder) {
      const wrong = start + chunkBytes >= bytes.length ? 0 : start + chunkBytes
      const refused = await transfer(location, wrong, endOf(wrong), methodTo(endOf(wrong)))
      t.equal(refused.status, 416)
      const status = await send('GET', location)
      t.equal(status.status, 204)
      t.equal(status.headers.get('range'), `0-${Math.max(0, start - 1)}`)
      location = status.location
    }
    const answer = await transfer(location, start, endOf(start), methodTo(endOf(start)))
    if (lastInPut && endOf(start) === bytes.length) return answer
    t.equal(answer.status, 202)
    location = answer.location
  }
  return send('PUT', withQuery(location, { digest }), { headers: octetStream })
}

async function pushAsStream(repository: Repository, { digest, bytes }: Blob) {
  const { location } = await send('POST', repository.uploads)
  const stream = new Blob([bytes]).stream()
  const streamed = await send('PATCH', location, { body: stream, headers: octetStream })
  return send('PUT', withQuery(streamed.location, { digest }), { headers: octetStream })
}

function pushAtOnce(repository: Repository, { digest, bytes }: Blob) {
  return send('POST', withQuery(repository.uploads, { digest }), { body: bytes, headers: octetStream })
}

async function pushInTwo(repository: Repository, { digest, bytes }: Blob) {
  const { location } = await send('POST', repository.uploads)
  return send('PUT', withQuery(location, { digest }), { body: bytes, headers: octetStream })
}

type Push = (
  t: Test,
  repository: Repository,
  blob: Blob,
) => Promise<{ readonly status: number; readonly location: string }>

const pushes: Readonly<Record<string, Push>> = {
  'POST alone': (_, repository, blob) => pushAtOnce(repository, blob),
  'POST and PUT': (_, repository, blob) => pushInTwo(repository, blob),
  'one chunk': (t, repository, blob) => pushInChunks(t, repository, blob, {}),
  'a stream': (_, repository, blob) => pushAsStream(repository, blob),
  'three chunks': (t, repository, blob) => pushInChunks(t, repository, blob, {}),
  'three chunks, the last in PUT': (t, repository, blob) =>
    pushInChunks(t, repository, blob, { lastInPut: true }),
  'three chunks, each first tried out of order': (t, repository, blob) =>
    pushInChunks(t, repository, blob, { outOfOrder: true }),
  'three chunks, each first tried out of order, the last in PUT': (t, repository, blob) =>
    pushInChunks(t, repository, blob, { outOfOrder: true, lastInPut: true }),
}

function sentencesOf(algorithm: Algorithm): readonly Sentence[] {
  const source = `suite blobs ${algorithm}` as const
  const test = (gist: string, check: (t: Test, given: Given) => Promise<void>) =>
    sentence(source, gist, check)
  return [
    ...Object.entries(pushes).map(([way, push]) =>
      test(`push by ${way}`, async (t, { repository }) => {
        const blob = makeBlob(algorithm, way.startsWith('three') ? threeChunks : 512)
        const { status, location } = await push(t, repository, blob)
        t.equal(status, 201)
        await checkPushed(t, repository, blob, location)
      }),
    ),
    ...Object.entries(pushes).map(([way, push]) =>
      test(`push by ${way}: another digest answers 400`, async (t, { repository }) => {
        const { bytes, digest } = makeBlob(algorithm, threeChunks)
        const { status } = await push(t, repository, {
          digest,
          bytes: Buffer.concat([bytes, Buffer.from('oh no')]),
        })
        t.equal(status, 400)
        t.equal((await send('HEAD', repository.blob(digest))).status, 404)
      }),
    ),
    test('mount', async (t, { repository, other }) => {
      const blob = makeBlob(algorithm, 512)
      await pushAtOnce(other, blob)
      const answer = await send(
        'POST',
        withQuery(repository.uploads, { mount: blob.digest, from: other.name }),
      )
      t.equal(answer.status, 201)
      await checkPushed(t, repository, blob, answer.location)
      t.equal((await send('DELETE', other.blob(blob.digest))).status, 202)
    }),
    test('mount without `from` mounts or takes an upload', async (t, { repository, other }) => {
      const blob = makeBlob(algorithm, 512)
      await pushAtOnce(other, blob)
      const { status, location } = await send('POST', withQuery(repository.uploads, { mount: blob.digest }))
      t.ok(status === 201 || status === 202)
      if (status === 201) return checkPushed(t, repository, blob, location)
      const put = await send('PUT', withQuery(location, { digest: blob.digest }), {
        body: blob.bytes,
        headers: octetStream,
      })
      t.equal(put.status, 201)
      await checkPushed(t, repository, blob, put.location)
    }),
    test('mount of what is not there takes an upload', async (t, { repository, other }) => {
      const { digest } = makeBlob(algorithm, 512)
      const { status } = await send(
        'POST',
        withQuery(repository.uploads, { mount: digest, from: other.name }),
      )
      t.equal(status, 202)
    }),
    test('an upload that is cancelled', async (t, { repository }) => {
      const { digest } = makeBlob(algorithm, 512)
      t.equal((await send('DELETE', await repository.startUpload())).status, 204)
      t.equal((await send('GET', repository.blob(digest))).status, 404)
    }),
    test('ranges', async (t, { repository }) => {
      const blob = makeBlob(algorithm, 2048)
      await pushAtOnce(repository, blob)
      const range = (value: string) =>
        send('GET', repository.blob(blob.digest), { headers: { Range: `bytes=${value}` } })
      for (const [asked, start, end] of [
        ['500-1499', 500, 1500],
        ['500-', 500, 2048],
        ['-500', 1548, 2048],
        ['2000-5000', 2000, 2048],
      ] as const) {
        const { status, headers, bytes } = await range(asked)
        t.equal(status, 206, asked)
        t.ok(bytes.equals(blob.bytes.subarray(start, end)), asked)
        t.equal(headers.get('content-length'), String(end - start))
        t.equal(headers.get('content-range'), `bytes ${start}-${end - 1}/2048`)
      }
      t.equal((await range('5000-10000')).status, 416)
      const backwards = await range('500-0')
      t.ok(backwards.status === 416 || backwards.bytes.equals(blob.bytes), 'refused, or the whole')
    }),
    test('the empty blob and the empty JSON', async (t, { repository }) => {
      for (const content of ['', '{}']) {
        const blob = { bytes: Buffer.from(content), digest: digestOf(content, algorithm) }
        for (const push of [pushAtOnce, pushInTwo, pushAsStream]) {
          const { status, location } = await push(repository, blob)
          t.equal(status, 201)
          await checkPushed(t, repository, blob, location)
        }
      }
    }),
  ]
}

checkSentences(import.meta.url, [...sentencesOf('sha256'), ...sentencesOf('sha512')])
