// Taking over a tree that distribution has written (fixtures/README.md), upload sessions included.
import fs from 'node:fs'
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { digestOf, parseDigest, type Digest } from '../../lib/oci/digest.ts'
import { BlobUnknownError } from '../../lib/oci/errors.ts'
import { parseManifest } from '../../lib/oci/manifest.ts'
import { digestReference, parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { parseUploadId } from '../../lib/oci/upload-id.ts'
import { createLocalRegistry } from '../../lib/registry/local.ts'
import type { Repository } from '../../lib/registry/registry.ts'
import { bodyOf, createStores, openTestDriver } from '../support/stores.ts'
import { readBlob, removeManifest, uploadsOf } from './suite/content.ts'

const hello = parseRepositoryName('library/hello')
const tags = fs
  .readFileSync('fixtures/distribution-tags.txt', 'utf8')
  .trim()
  .split('\n')
  .map(line => {
    const [, name = '', tag = '', digest = ''] = /^(.+):([^: ]+) (.+)$/.exec(line) ?? []
    return { name: parseRepositoryName(name), tag: parseTag(tag), digest: parseDigest(digest) }
  })

/** A registry over a copy of the tree. */
async function openTree(t: Test) {
  const root = t.testdir({})
  fs.cpSync('fixtures/distribution-tree', root, { recursive: true })
  const driver = await openTestDriver(t, 'filesystem', { root })
  return createLocalRegistry(createStores(driver), { allowDelete: true })
}

/** Reads a manifest and all that it refers to. */
async function pullAll(repository: Repository, digest: Digest): Promise<number> {
  const { bytes, descriptor } = await repository.manifests.get(digestReference(digest))
  if (digestOf(bytes) !== descriptor.digest) throw new Error(`wrong bytes for ${digest}`)
  const content = parseManifest(bytes)
  let pulled = 1
  for (const child of content.manifests) pulled += await pullAll(repository, child.digest)
  for (const blob of content.blobs) {
    if (digestOf(await readBlob(repository, blob.digest)) !== blob.digest) throw new Error('wrong blob')
    pulled++
  }
  return pulled
}

t.test('createLocalRegistry() serves every tag of a tree by distribution', async t => {
  const registry = await openTree(t)

  t.same((await registry.repositories({})).items, [
    'a.b/c__d/e--f',
    'library/hello',
    'multi/arch',
    'multi/docker',
  ])
  t.same((await registry.repository(hello).tags.list({})).items, ['1.0', 'latest', 'sbom'])
  for (const { name, tag, digest } of tags) {
    const repository = registry.repository(name)
    t.equal((await repository.manifests.get(tagReference(tag))).descriptor.digest, digest)
    t.ok((await pullAll(repository, digest)) >= 3)
  }
})

t.test(
  'createLocalRegistry() follows links of a tree by distribution: sha512 names, mounts, empty blobs',
  async t => {
    const registry = await openTree(t)
    const repository = registry.repository(parseRepositoryName('blobs/only'))
    const bytes = Buffer.from('named by sha512\n')

    for (const algorithm of ['sha256', 'sha512'] as const) {
      const digest = digestOf(bytes, algorithm)
      t.same(await repository.blobs.stat(digest), {
        mediaType: 'application/octet-stream',
        digest,
        size: bytes.length,
      })
      t.same(await readBlob(repository, digest), bytes)
    }
    t.equal((await readBlob(repository, digestOf(Buffer.alloc(0)))).length, 0)
    t.equal(
      String(await readBlob(repository, digestOf(Buffer.from('{"spdxVersion":"SPDX-2.3"}')))).length,
      26,
    )
    await t.rejects(repository.tags.list({}), { code: 'NAME_UNKNOWN' })
    await t.rejects(registry.repository(hello).blobs.stat(digestOf(bytes)), BlobUnknownError)
  },
)

t.test("createLocalRegistry() goes on with distribution's upload session", async t => {
  const registry = await openTree(t)
  const repository = registry.repository(hello)
  const [id = ''] = fs.readdirSync(
    'fixtures/distribution-tree/docker/registry/v2/repositories/library/hello/_uploads',
  )
  const whole = Buffer.from('the first half of a blob, and the second')

  const session = await uploadsOf(repository).resume(parseUploadId(id))
  t.equal(session.offset, 26)
  t.ok(session.startedAtMs > Date.parse('2020-01-01') && session.startedAtMs % 1000 === 0)
  await session.append(bodyOf(whole.subarray(26)), 26)
  await session.complete(digestOf(whole))

  t.same(await readBlob(repository, digestOf(whole)), whole)
  await t.rejects(uploadsOf(repository).resume(parseUploadId(id)), { code: 'BLOB_UPLOAD_UNKNOWN' })
})

t.test('createLocalRegistry() deletes from a tree by distribution', async t => {
  const registry = await openTree(t)
  const repository = registry.repository(hello)
  const first = tags.find(({ name, tag }) => name === hello && tag === '1.0')
  if (first === undefined) throw new Error('no tag 1.0')

  await removeManifest(repository, first.digest)

  t.same((await repository.tags.list({})).items, ['latest', 'sbom'], 'latest has moved on')
  const { bytes } = await repository.manifests.get(tagReference(parseTag('latest')))
  const [blob] = parseManifest(bytes).blobs
  const body = blob && (await repository.blobs.open(blob.digest))
  t.ok(body?.kind === 'bytes' && (await buffer(await body.read())).length > 0)
})
