// Manifests: what is accepted, and that it comes back byte for byte under the type it was pushed as.
import type { Test } from 'tap'
import { digestOf } from '../../../lib/oci/digest.ts'
import { DigestMismatchError, ManifestUnknownError, ReferencesUnknownError } from '../../../lib/oci/errors.ts'
import { mediaTypes } from '../../../lib/oci/media-types.ts'
import { digestReference, parseTag } from '../../../lib/oci/reference.ts'
import {
  app,
  indexOver,
  json,
  manifestOver,
  other,
  pushBlob,
  pushManifest,
  readBlob,
  removeManifest,
  tagged,
  type Open,
} from './content.ts'

const invalid = { code: 'MANIFEST_INVALID' }
const missing = (text: string) => ({
  mediaType: mediaTypes.octetStream,
  digest: digestOf(Buffer.from(text)),
  size: text.length,
})

export function manifestSuite(t: Test, open: Open): void {
  void t.test('ManifestService does not know what was not pushed: ManifestUnknownError', async t => {
    const registry = await open(t)
    const { digest } = await pushManifest(registry.repository(other), 'latest')
    const repository = registry.repository(app)

    for (const reference of [tagged('latest'), digestReference(digest)]) {
      await t.rejects(repository.manifests.get(reference), ManifestUnknownError)
      await t.rejects(repository.manifests.stat(reference), ManifestUnknownError)
    }
    await t.rejects(removeManifest(repository, digest), ManifestUnknownError)
  })

  void t.test('ManifestService.put() names every reference that is missing, and stores nothing', async t => {
    const repository = (await open(t)).repository(app)
    const here = await pushBlob(repository, 'here')
    const bytes = manifestOver([missing('config'), missing('one'), here, missing('two'), missing('one')])

    await t.rejects(repository.manifests.put(bytes, mediaTypes.ociManifest, tagged('latest')), {
      code: 'MANIFEST_BLOB_UNKNOWN',
      digests: ['config', 'one', 'two'].map(text => missing(text).digest),
    })

    await t.rejects(repository.manifests.get(tagged('latest')), ManifestUnknownError)
    await t.rejects(repository.manifests.get(digestReference(digestOf(bytes))), ManifestUnknownError)
  })

  void t.test('ManifestService.put() wants the children of an index', async t => {
    const repository = (await open(t)).repository(app)
    const { digest } = await pushManifest(repository, 'one')
    const { bytes: child } = await repository.manifests.get(digestReference(digest))
    const absent = manifestOver([], 'absent')

    await t.rejects(
      repository.manifests.put(indexOver([child, absent]), mediaTypes.ociIndex, tagged('latest')),
      ReferencesUnknownError,
    )
    const descriptor = await repository.manifests.put(
      indexOver([child]),
      mediaTypes.ociIndex,
      tagged('latest'),
    )
    t.equal(descriptor.mediaType, mediaTypes.ociIndex)
  })

  void t.test('ManifestService.put() refuses what it could not give out as it came', async t => {
    const repository = (await open(t)).repository(app)
    const put = (content: object | string, contentType: string) =>
      repository.manifests.put(
        typeof content === 'string' ? Buffer.from(content) : json(content),
        contentType,
        tagged('latest'),
      )
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }

    await t.rejects(put('{', mediaTypes.ociManifest), invalid, 'not JSON')
    await t.rejects(put('', mediaTypes.ociManifest), invalid, 'empty')
    await t.rejects(put({ schemaVersion: 1 }, mediaTypes.ociManifest), invalid, 'schema 1')
    await t.rejects(put(index, mediaTypes.ociManifest), invalid, 'another type than announced')
    await t.rejects(put({ schemaVersion: 2 }, mediaTypes.dockerManifest), invalid, 'would be read as OCI')
    await t.rejects(
      put({ schemaVersion: 2, layers: [] }, mediaTypes.ociIndex),
      invalid,
      'would be a manifest',
    )
    await t.rejects(put({ schemaVersion: 2, manifests: [] }, mediaTypes.dockerManifestList), invalid)
    await t.rejects(
      put({ schemaVersion: 2, mediaType: 'text/html' }, 'text/html'),
      invalid,
      'no manifest type',
    )
    await t.rejects(put({ schemaVersion: 2, mediaType: 'text/html' }, ''), invalid, 'nor by its own word')
    await t.rejects(put({ schemaVersion: 2 }, 'application/json'), invalid, 'no manifest type')
    await t.rejects(repository.manifests.get(tagged('latest')), ManifestUnknownError)
  })

  void t.test(
    'ManifestService.put() takes a type that only Content-Type tells, if it can be told again',
    async t => {
      const { manifests } = (await open(t)).repository(app)
      const bytes = json({ schemaVersion: 2, layers: [] })

      await manifests.put(bytes, `${mediaTypes.ociManifest}; charset=utf-8`, tagged('latest'))

      t.equal((await manifests.get(tagged('latest'))).descriptor.mediaType, mediaTypes.ociManifest)
    },
  )

  void t.test('ManifestService.put() takes any type that names itself, whatever it refers to', async t => {
    const { manifests } = (await open(t)).repository(app)
    for (const mediaType of ['application/vnd.oci.artifact.manifest.v1+json', 'application/vnd.example']) {
      const bytes = json({
        mediaType,
        blobs: [missing('blob')],
        manifests: [missing('manifest')],
        config: 'none',
      })

      const descriptor = await manifests.put(bytes, mediaType, tagged('artifact'))

      t.same(descriptor, { mediaType, digest: digestOf(bytes), size: bytes.length })
      for (const reference of [tagged('artifact'), digestReference(descriptor.digest)]) {
        const served = await manifests.get(reference)
        t.same(served.descriptor, descriptor)
        t.same(served.bytes, bytes)
      }
    }
  })

  void t.test('ManifestService.put() sets several tags at once', async t => {
    const repository = (await open(t)).repository(app)
    const before = await pushManifest(repository, 'two', 'before')
    const bytes = manifestOver([], 'several')
    const digest = digestOf(bytes)
    const tags = [parseTag('two'), parseTag('three'), parseTag('two')]

    await repository.manifests.put(bytes, mediaTypes.ociManifest, digestReference(digest), { tags })
    await repository.manifests.put(bytes, mediaTypes.ociManifest, tagged('one'), { tags: [parseTag('four')] })

    t.same((await repository.tags.list({})).items, ['four', 'one', 'three', 'two'])
    for (const tag of ['one', 'two', 'three', 'four']) {
      t.equal((await repository.manifests.get(tagged(tag))).descriptor.digest, digest, tag)
    }
    t.equal((await repository.manifests.get(digestReference(before.digest))).descriptor.digest, before.digest)
  })

  void t.test('ManifestService.put() sets no tag where the manifest is refused', async t => {
    const repository = (await open(t)).repository(app)
    await pushManifest(repository, 'other')
    const bytes = manifestOver([missing('config')])

    await t.rejects(
      repository.manifests.put(bytes, mediaTypes.ociManifest, tagged('one'), { tags: [parseTag('two')] }),
      ReferencesUnknownError,
    )

    t.same((await repository.tags.list({})).items, ['other'])
  })

  void t.test('ManifestService.put() by digest wants that digest', async t => {
    const { manifests } = (await open(t)).repository(app)
    const bytes = manifestOver([], 'by digest')
    const wrong = digestReference(digestOf(Buffer.from('x')))

    await t.rejects(manifests.put(bytes, mediaTypes.ociManifest, wrong), DigestMismatchError)
    await t.rejects(manifests.get(wrong), ManifestUnknownError)

    for (const algorithm of ['sha256', 'sha512'] as const) {
      const reference = digestReference(digestOf(bytes, algorithm))
      const descriptor = await manifests.put(bytes, mediaTypes.ociManifest, reference)
      t.equal(descriptor.digest, reference.kind === 'digest' && reference.digest)
      t.same((await manifests.get(reference)).bytes, bytes)
    }
  })

  void t.test('ManifestService.get() gives the bytes back as they came, by tag and by digest', async t => {
    const { manifests } = (await open(t)).repository(app)
    const bytes = Buffer.from(
      `{ "schemaVersion" : 2,\n\t"mediaType": "${mediaTypes.ociManifest}", "x": "\\u00e9é" }\n`,
    )

    const descriptor = await manifests.put(bytes, mediaTypes.ociManifest, tagged('v1'))

    t.same(descriptor, { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length })
    for (const reference of [tagged('v1'), digestReference(descriptor.digest)]) {
      const found = await manifests.get(reference)
      t.same(found.bytes, bytes)
      t.same(found.descriptor, descriptor)
      t.match(await manifests.stat(reference), descriptor)
    }
  })

  void t.test('ManifestService.put() moves a tag and keeps what it meant', async t => {
    const repository = (await open(t)).repository(app)
    const before = await pushManifest(repository, 'latest', 'one')
    const after = await pushManifest(repository, 'latest', 'two')

    t.equal((await repository.manifests.get(tagged('latest'))).descriptor.digest, after.digest)
    t.equal((await repository.manifests.get(digestReference(before.digest))).descriptor.digest, before.digest)
  })

  void t.test(
    'ManifestService.put() takes the same again, and an artifact whose subject is missing',
    async t => {
      const repository = (await open(t)).repository(app)
      const once = await pushManifest(repository, 'latest')
      const twice = await pushManifest(repository, 'latest')
      t.same(once, twice)

      const artifact = manifestOver([], 'artifact', { subject: missing('subject') })
      await repository.manifests.put(artifact, mediaTypes.ociManifest, tagged('artifact'))

      t.same((await repository.manifests.get(tagged('artifact'))).bytes, artifact)
    },
  )

  void t.test('ManifestService.remove() takes every tag along, and nothing else', async t => {
    const repository = (await open(t)).repository(app)
    const { digest } = await pushManifest(repository, 'one', 'same')
    await pushManifest(repository, 'two', 'same')
    const kept = await pushManifest(repository, 'kept', 'other')
    await pushManifest(repository, 'moved', 'same')
    await pushManifest(repository, 'moved', 'other')

    await removeManifest(repository, digest)

    await t.rejects(repository.manifests.get(digestReference(digest)), ManifestUnknownError)
    await t.rejects(repository.manifests.get(tagged('one')), ManifestUnknownError)
    await t.rejects(removeManifest(repository, digest), ManifestUnknownError)
    t.same((await repository.tags.list({})).items, ['kept', 'moved'])
    t.equal((await repository.manifests.get(tagged('moved'))).descriptor.digest, kept.digest)
    t.equal(String(await readBlob(repository, digestOf(Buffer.from('layer of same')))), 'layer of same')
    await pushManifest(repository, 'one', 'same')
    t.equal((await repository.manifests.get(tagged('one'))).descriptor.digest, digest, 'pushed again')
  })
}
