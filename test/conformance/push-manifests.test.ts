import { mediaTypes } from '../../lib/oci/media-types.ts'
import { absentDigest, digestOf, imageConfig, send, withQuery, type Repository } from './repository.ts'
import { checkSentences, sentence } from './sentences.ts'

const missing = { mediaType: mediaTypes.ociManifest, digest: absentDigest, size: 123 }
const kinds = ['image', 'index'] as const

function push(repository: Repository, kind: (typeof kinds)[number], parts: object) {
  return kind === 'image' ? repository.pushImage(parts) : repository.pushIndex(parts)
}

/** An image manifest of exactly this many bytes. */
async function manifestOfSize(repository: Repository, bytes: number): Promise<string> {
  const config = { mediaType: imageConfig, digest: await repository.pushBlob('{}'), size: 2 }
  const make = (filler: string) =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config,
      layers: [],
      annotations: { filler },
    })
  return make('x'.repeat(bytes - make('').length))
}

checkSentences(import.meta.url, [
  sentence(
    'end-7 MUST (1.1)',
    'a manifest is accepted before the manifest that is its subject',
    async (t, { repository }) => {
      for (const kind of kinds) {
        const { answer, digest, bytes } = await push(repository, kind, { subject: missing })
        t.equal(answer.status, 201, kind)
        t.ok((await send('GET', repository.manifest(digest))).bytes.equals(bytes))
      }
    },
  ),

  sentence(
    'end-7 MUST (1.1)',
    'a manifest refused for what it refers to is answered with MANIFEST_BLOB_UNKNOWN, one for each',
    async (t, { repository }) => {
      const [config, layer] = [digestOf('no config'), digestOf('no layer')]
      const descriptor = (digest: string) => ({ mediaType: mediaTypes.octetStream, digest, size: 8 })
      const image = { config: descriptor(config), layers: [descriptor(layer)] }
      const index = { manifests: [missing] }
      for (const [mediaType, body, digests] of [
        [mediaTypes.ociManifest, image, [config, layer]],
        [mediaTypes.ociIndex, index, [absentDigest]],
      ] as const) {
        const text = JSON.stringify({ schemaVersion: 2, mediaType, ...body })
        const { status, bytes } = await repository.putManifest('v1', text, mediaType)
        t.ok(status >= 400 && status < 500, `${status}`)
        const { errors } = JSON.parse(bytes.toString()) as { errors: { code: string; detail: string }[] }
        t.same(
          errors.map(({ code, detail }) => [code, detail]),
          digests.map(digest => ['MANIFEST_BLOB_UNKNOWN', digest]),
        )
        t.equal((await send('GET', repository.manifest('v1'))).status, 404)
      }
    },
  ),

  sentence('end-7 SHOULD (1.1)', 'parameters of Content-Type are ignored', async (t, { repository }) => {
    const { bytes, digest } = await repository.pushImage()
    const answer = await repository.putManifest('v1', bytes, `${mediaTypes.ociManifest}; charset=utf-8`)
    t.equal(answer.status, 201)
    const { headers } = await send('GET', repository.manifest('v1'))
    t.equal(headers.get('content-type'), mediaTypes.ociManifest)
    t.equal(headers.get('docker-content-digest'), digest)
  }),

  sentence('end-7 MUST (1.1)', 'a manifest is kept byte for byte', async (t, { repository }) => {
    const config = `{"mediaType":"${imageConfig}", "size" : 2,"digest":"${await repository.pushBlob('{}')}"}`
    const type = `"mediaType":"${mediaTypes.ociManifest}"`
    for (const [what, text] of [
      ['space', `\n {"schemaVersion": 2,\t${type},"layers":[] ,"config":${config}}  \n`],
      ['unknown fields', `{"z":{"b":1,"a":[1e2]},"schemaVersion":2,${type},"config":${config},"layers":[]}`],
      [
        'escapes',
        `{"schemaVersion":2,${type},"config":${config},"layers":[],"annotations":{"\\u00e4":"é\\/"}}`,
      ],
    ] as const) {
      const { location, headers } = await repository.putManifest('v1', text)
      t.equal(headers.get('docker-content-digest'), digestOf(text), what)
      t.equal((await send('GET', location)).bytes.toString(), text, what)
      t.equal((await send('GET', repository.manifest('v1'))).bytes.toString(), text, what)
    }
  }),

  sentence('end-7 MUST', 'a successful push answers 201, by tag and by digest', async (t, { repository }) => {
    for (const kind of kinds) {
      t.equal((await push(repository, kind, { tag: 'v1' })).answer.status, 201, kind)
      t.equal((await push(repository, kind, {})).answer.status, 201, kind)
    }
  }),

  sentence(
    'end-7 MUST',
    'a successful push has a Location that can be pulled, by tag and by digest',
    async (t, { repository }) => {
      for (const parts of [{ tag: 'v1' }, {}, { algorithm: 'sha512' }]) {
        for (const kind of kinds) {
          const { answer, bytes } = await push(repository, kind, parts)
          t.ok((await send('GET', answer.location)).bytes.equals(bytes), JSON.stringify(parts))
        }
      }
    },
  ),

  sentence(
    'end-7 MUST (next)',
    'Docker-Content-Digest of a push is the digest that the client gave',
    async (t, { repository }) => {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const { answer, digest } = await repository.pushImage({ algorithm })
        t.equal(answer.headers.get('docker-content-digest'), digest)
      }
    },
  ),

  sentence('end-7 MUST', 'the list of blobs may be empty', async (t, { repository }) => {
    for (const parts of [{ layers: [] }, { layers: [], artifactType: 'application/vnd.example' }]) {
      t.equal((await repository.pushImage(parts)).answer.status, 201)
    }
    t.equal((await repository.pushIndex({ manifests: [] })).answer.status, 201)
  }),

  sentence(
    'end-7 SHOULD (1.1)',
    'a manifest larger than what is accepted answers 413',
    async (t, { repository }) => {
      const text = await manifestOfSize(repository, 5 * 1024 * 1024)
      const type = { 'Content-Type': mediaTypes.ociManifest }
      t.equal((await repository.putManifest('v1', text)).status, 413)
      const stream = new Blob([text]).stream()
      const announced = await send('PUT', repository.manifest('v1'), { body: stream, headers: type })
      t.equal(announced.status, 413, 'without Content-Length')
    },
  ),

  sentence('end-7 SHOULD (1.1)', 'a manifest of four megabytes is accepted', async (t, { repository }) => {
    for (const size of [4_000_000, 4 * 1024 * 1024]) {
      const text = await manifestOfSize(repository, size)
      t.equal((await repository.putManifest('v1', text)).status, 201, `${size}`)
      t.equal((await send('GET', repository.manifest('v1'))).bytes.length, size)
    }
  }),

  sentence(
    'end-7 MUST (1.1)',
    'a push of a manifest with a subject answers with OCI-Subject',
    async (t, { repository }) => {
      const { descriptor: subject } = await repository.pushImage()
      for (const kind of kinds) {
        for (const parts of [{ subject }, { subject, tag: `of-${kind}` }, { subject: missing }]) {
          const { answer } = await push(repository, kind, parts)
          t.equal(answer.headers.get('oci-subject'), parts.subject.digest, kind)
        }
      }
      t.equal((await repository.pushImage()).answer.headers.get('oci-subject'), null, 'without one')
    },
  ),

  sentence(
    'end-7b SHOULD (next)',
    'a push by digest takes ten and more parameters `tag`',
    async (t, { repository }) => {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const { bytes, digest } = await repository.pushImage({ algorithm })
        const tags = Array.from({ length: 12 }, (_, n) => `${algorithm}-${n}`)
        const url = `${repository.manifest(digest)}?${tags.map(tag => `tag=${tag}`).join('&')}`
        const headers = { 'Content-Type': mediaTypes.ociManifest }
        t.equal((await send('PUT', url, { body: bytes, headers })).status, 201)
        for (const tag of tags) {
          const pulled = await send('HEAD', repository.manifest(tag))
          t.equal(pulled.headers.get('docker-content-digest'), digest, tag)
        }
      }
    },
  ),

  sentence('end-7b MUST (next)', 'OCI-Tag lists every tag that was accepted', async (t, { repository }) => {
    const { bytes, digest } = await repository.pushImage()
    const url = `${withQuery(repository.manifest(digest), { tag: '1.2.3' })}&tag=1.2&tag=latest`
    const headers = { 'Content-Type': mediaTypes.ociManifest }
    const answer = await send('PUT', url, { body: bytes, headers })
    t.same(answer.headers.get('oci-tag')?.split(/\s*,\s*/), ['1.2.3', '1.2', 'latest'])
    t.same(await repository.listTags(), ['1.2', '1.2.3', 'latest'])
  }),
])
