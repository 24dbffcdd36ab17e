// Every kind of manifest of the official suite's newer form: pushed by digest and by tag, listed, pulled, its referrers
// listed, and deleted, each step with what the suite expects of its answer.
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestOf, imageConfig, Repository, send, type Algorithm, type Descriptor } from './repository.ts'
import { checkSentences, sentence } from './sentences.ts'
import { startRegistry } from './start-registry.ts'

const accept = { Accept: `${mediaTypes.ociIndex}, ${mediaTypes.ociManifest}` }
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'
const exampleType = 'application/vnd.example.oci.conformance'
const emptyJson = { mediaType: 'application/vnd.oci.empty.v1+json', content: '{}' }
const platforms = ['amd64', 'arm64'].map(architecture => ({ os: 'linux', architecture }))

interface Made extends Descriptor {
  readonly bytes: Buffer
}

/** A set of content as the suite generates it: blobs first, then manifests in the order of their push. */
class DataSet {
  readonly blobs = new Map<string, string>()
  readonly manifests: Made[] = []
  readonly tags = new Map<string, string>()
  readonly referrers = new Map<string, Descriptor[]>()
  readonly algorithm: Algorithm

  constructor(algorithm: Algorithm = 'sha256') {
    this.algorithm = algorithm
  }

  blob(mediaType: string, content = randomBytes(32).toString('hex')): Descriptor {
    const digest = digestOf(content, this.algorithm)
    this.blobs.set(digest, content)
    return { mediaType, digest, size: content.length }
  }

  image(fields: object = {}, tag?: string): Made {
    const config = this.blob(imageConfig, JSON.stringify({ id: randomBytes(8).toString('hex') }))
    return this.manifest(
      { mediaType: mediaTypes.ociManifest, config, layers: [this.blob(layerType)], ...fields },
      tag,
    )
  }

  artifact(fields: object = {}, tag?: string): Made {
    const config = this.blob(emptyJson.mediaType, emptyJson.content)
    return this.image({ artifactType: exampleType, config, layers: [this.blob(exampleType)], ...fields }, tag)
  }

  index(fields: object = {}, tag?: string, entry: (platform: object) => Made = () => this.image()): Made {
    const manifests = platforms.map(platform => ({ ...descriptorOf(entry(platform)), platform }))
    return this.manifest({ mediaType: mediaTypes.ociIndex, manifests, ...fields }, tag)
  }

  manifest(fields: { readonly mediaType: string; readonly [name: string]: unknown }, tag?: string): Made {
    const content = { schemaVersion: 2, ...fields } as Readonly<Record<string, unknown>>
    const bytes = Buffer.from(JSON.stringify(content))
    const made = {
      mediaType: fields.mediaType,
      digest: digestOf(bytes, this.algorithm),
      size: bytes.length,
      bytes,
    }
    this.manifests.push(made)
    if (tag !== undefined) this.tags.set(tag, made.digest)
    const subject = content['subject'] as Descriptor | undefined
    if (subject !== undefined) this.#refer(subject.digest, made, content)
    return made
  }

  #refer(subject: string, made: Made, content: Readonly<Record<string, unknown>>): void {
    const config = content['config'] as Descriptor | undefined
    const artifactType = (content['artifactType'] as string | undefined) ?? config?.mediaType
    const annotations = content['annotations'] as Descriptor['annotations']
    const referrer = {
      ...descriptorOf(made),
      ...(artifactType !== undefined && { artifactType }),
      ...(annotations !== undefined && { annotations }),
    }
    this.referrers.set(subject, [...(this.referrers.get(subject) ?? []), referrer])
  }
}

function descriptorOf({ mediaType, digest, size }: Made): Descriptor {
  return { mediaType, digest, size }
}

/** The steps of the suite for one set. With `tagParameters` tags are pushed with the digest. */
async function checkDataSet(t: Test, repository: Repository, data: DataSet, tagParameters = false) {
  for (const content of data.blobs.values()) await repository.pushBlob(content, data.algorithm)
  for (const { digest, bytes, mediaType } of data.manifests) {
    const tags = [...data.tags].filter(([, of]) => of === digest).map(([tag]) => tag)
    const query = tagParameters ? `?${tags.map(tag => `tag=${tag}`).join('&')}` : ''
    const answer = await repository.putManifest(`${digest}${query}`, bytes, mediaType)
    checkPut(t, answer, digest, bytes)
    if (tagParameters) t.same((answer.headers.get('oci-tag') ?? '').split(/\s*,\s*/), tags)
    const pulled = await send('GET', answer.location, { headers: accept })
    t.ok(pulled.bytes.equals(bytes))
    t.equal(pulled.headers.get('content-type'), mediaType)
  }
  for (const [tag, digest] of tagParameters ? [] : data.tags) {
    const { bytes, mediaType } = data.manifests.find(made => made.digest === digest) ?? {
      bytes: Buffer.alloc(0),
    }
    checkPut(t, await repository.putManifest(tag, bytes, mediaType), digest, bytes)
  }
  t.same(await repository.listTags(), [...data.tags.keys()].toSorted())
  await checkPulls(t, repository, data)
  for (const [subject, expected] of data.referrers) {
    checkReferrers(t, await repository.listReferrers(subject), expected)
    for (const artifactType of new Set(expected.map(referrer => referrer.artifactType ?? ''))) {
      if (artifactType === '') continue
      const wanted = expected.filter(referrer => referrer.artifactType === artifactType)
      checkReferrers(t, await repository.listReferrers(subject, { artifactType }), wanted)
    }
  }
  await checkDeletions(t, repository, data)
}

function checkPut(t: Test, answer: Awaited<ReturnType<typeof send>>, digest: string, bytes: Buffer): void {
  t.equal(answer.status, 201, answer.bytes.toString().slice(0, 500))
  t.equal(answer.headers.get('docker-content-digest'), digest)
  const { subject } = JSON.parse(bytes.toString()) as { readonly subject?: Descriptor }
  t.equal(answer.headers.get('oci-subject'), subject?.digest ?? null)
}

async function checkPulls(t: Test, repository: Repository, data: DataSet): Promise<void> {
  const references = [...data.tags, ...data.manifests.map(({ digest }) => [digest, digest] as const)]
  for (const [reference, digest] of references) {
    const made = data.manifests.find(one => one.digest === digest)
    for (const method of ['HEAD', 'GET']) {
      const answer = await send(method, repository.manifest(reference), { headers: accept })
      t.equal(answer.status, 200)
      t.equal(answer.headers.get('content-type'), made?.mediaType)
      t.equal(answer.headers.get('content-length'), String(made?.size))
      t.equal(answer.headers.get('docker-content-digest'), digest)
      t.ok(answer.bytes.equals(method === 'GET' ? (made?.bytes ?? Buffer.from('?')) : Buffer.alloc(0)))
    }
  }
  for (const [digest, content] of data.blobs) {
    t.equal(
      (await send('HEAD', repository.blob(digest))).headers.get('content-length'),
      String(content.length),
    )
    t.equal((await send('GET', repository.blob(digest))).bytes.toString(), content)
  }
}

function checkReferrers(t: Test, found: readonly Descriptor[], expected: readonly Descriptor[]): void {
  const byDigest = (a: Descriptor, b: Descriptor) => (a.digest < b.digest ? -1 : 1)
  t.same(found.toSorted(byDigest), expected.toSorted(byDigest))
}

async function checkDeletions(t: Test, repository: Repository, data: DataSet): Promise<void> {
  const remove = async (url: string) => {
    t.equal((await send('DELETE', url)).status, 202)
    t.equal((await send('HEAD', url)).status, 404, 'gone at once')
  }
  for (const tag of data.tags.keys()) await remove(repository.manifest(tag))
  for (const { digest } of data.manifests.toReversed()) await remove(repository.manifest(digest))
  for (const digest of data.blobs.keys()) await remove(repository.blob(digest))
  for (const subject of data.referrers.keys()) t.same(await repository.listReferrers(subject), [])
}

const annotations = { 'org.opencontainers.conformance': 'hello conformance test' }
const absent = { mediaType: mediaTypes.ociManifest, size: 123, digest: digestOf('missing content') }

function nondistributable(suffix: string) {
  const digest = digestOf(randomBytes(32).toString('hex'))
  const urls = [`https://store.example.com/blobs/${digest.replace(':', '/')}`]
  return {
    mediaType: `application/vnd.oci.image.layer.nondistributable.v1.tar${suffix}`,
    digest,
    size: 12345,
    urls,
  }
}

function largeAnnotations(): Readonly<Record<string, string>> {
  const names = Array.from({ length: 390 }, (_, n) => `large-annotation-${n}`)
  return Object.fromEntries(names.map(name => [name, 'A'.repeat(10_000)]))
}

/** What the suite calls its sets, and what each is filled with. */
const sets: Readonly<Record<string, (data: DataSet) => void>> = {
  image: data => void data.image({}, 'image'),
  'image, uncompressed layer': data =>
    void data.image({ layers: [data.blob('application/vnd.oci.image.layer.v1.tar')] }, 'uncompressed'),
  'image with a large manifest': data => void data.image({ annotations: largeAnnotations() }, 'large'),
  index: data => void data.index({}, 'index'),
  'nested index': data => void data.index({}, 'nested', () => data.index()),
  'empty index': data => void data.index({ manifests: [] }, 'empty'),
  artifact: data => void data.artifact({}, 'artifact'),
  'artifact index': data =>
    void data.index({ artifactType: exampleType }, 'artifacts', () => data.artifact()),
  'artifact without layers': data =>
    void data.artifact({ layers: [data.blob(emptyJson.mediaType, emptyJson.content)] }, 'bare'),
  'artifacts with a subject'(data) {
    const subject = descriptorOf(data.image({}, 'image'))
    data.image({ subject })
    data.artifact({ subject, annotations }, 'one')
    data.artifact({ subject, annotations, artifactType: `${exampleType}.2` }, 'two')
  },
  'index with a subject'(data) {
    const subject = descriptorOf(data.index({}, 'index'))
    data.index({ subject, annotations, artifactType: exampleType }, 'tagged', () => data.artifact())
    data.index({ subject, annotations })
  },
  'subject that is missing': data => void data.artifact({ subject: absent, annotations }, 'tagged'),
  'data in descriptors'(data) {
    const config = data.blob(imageConfig, '{"os":"linux"}')
    const embedded = { ...config, data: Buffer.from('{"os":"linux"}').toString('base64') }
    data.image({ config: embedded }, 'data')
  },
  'custom fields': data => void data.index({ 'org.example.field': { a: [1, null] }, zzz: 'x' }, 'custom'),
  'no layers': data => void data.image({ layers: [] }, 'none'),
}

checkSentences(import.meta.url, [
  ...Object.entries(sets).map(([what, fill]) =>
    sentence('suite data', what, async (t, { repository }) => {
      const data = new DataSet()
      fill(data)
      await checkDataSet(t, repository, data)
    }),
  ),

  sentence('suite data', 'non-distributable layers, from a URL that is allowed', async (t, { driver }) => {
    const urls = 'allow: ["^https://store\\\\.example\\\\.com/"]'
    const { url } = await startRegistry(t, { driver, sections: `validation: {manifests: {urls: {${urls}}}}` })
    const data = new DataSet()
    data.image({ layers: [nondistributable('+gzip'), nondistributable(''), data.blob(layerType)] }, 'foreign')
    await checkDataSet(t, new Repository(url, 'conformance/foreign'), data)
  }),

  sentence('suite data', 'index under sha512, by digest', async (t, { repository }) => {
    const data = new DataSet('sha512')
    data.index()
    await checkDataSet(t, repository, data)
  }),

  ...(['sha256', 'sha512'] as const).map(algorithm =>
    sentence('suite data', `tags as parameters, ${algorithm}`, async (t, { repository }) => {
      const data = new DataSet(algorithm)
      data.index({}, 'top')
      data.tags.set('top-2', data.tags.get('top') ?? '')
      data.manifests.forEach(({ digest }, n) => data.tags.set(`each-${n}`, digest))
      await checkDataSet(t, repository, data, true)
    }),
  ),

  sentence('suite data', 'a manifest of another digest answers 400', async (t, { repository }) => {
    const { bytes, digest } = await repository.pushImage()
    await send('DELETE', repository.manifest(digest))
    const spaced = Buffer.concat([bytes, Buffer.from('  ')])
    t.equal((await repository.putManifest(digest, spaced)).status, 400)
    t.equal((await send('GET', repository.manifest(digest))).status, 404)
  }),

  sentence('suite data', 'a digest that is none answers 400, or 404 to GET', async (t, { repository }) => {
    const { bytes } = await repository.pushImage()
    const url = repository.manifest('sha256:baddigeststring')
    t.equal((await repository.putManifest('sha256:baddigeststring', bytes)).status, 400)
    const { status } = await send('GET', url, { headers: accept })
    t.ok(status === 400 || status === 404)
  }),

  sentence('suite data', 'a repository that nothing was pushed to', async (t, { repository }) => {
    const { status } = await send('GET', repository.tags)
    t.ok(status === 200 || status === 404)
    t.same(await repository.listReferrers(absent.digest), [])
  }),
])
