// The tree that we write against the one that distribution wrote (fixtures/README.md), file by file: the same content
// is pushed through the local registry, in the order in which it was pushed there.
import fs from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { digestOf, parseDigest, type Digest } from '../../lib/oci/digest.ts'
import { parseManifest } from '../../lib/oci/manifest.ts'
import { digestReference, parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createLocalRegistry } from '../../lib/registry/local.ts'
import type { Repository, UploadService } from '../../lib/registry/registry.ts'
import { bodyOf, createStores, openTestDriver } from '../support/stores.ts'

const fixture = path.resolve('fixtures/distribution-tree')
const golden = treeBelow(fixture)
const mounted = digestOf(Buffer.from('{"spdxVersion":"SPDX-2.3"}'))

/** Content by path, below a driver's root. */
function treeBelow(root: string): Map<string, string> {
  return new Map(
    fs
      .readdirSync(root, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => path.join(entry.parentPath, entry.name))
      .map(file => [file.slice(root.length), fs.readFileSync(file, 'latin1')] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
}

function goldenBlob(digest: Digest): Buffer {
  const hex = digest.slice('sha256:'.length)
  const bytes = golden.get(`/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`)
  if (bytes === undefined) throw new Error(`no blob ${digest} in the fixture`)
  return Buffer.from(bytes, 'latin1')
}

/** What distribution writes and we do not, or under a name of its own: see fixtures/README.md. */
function comparable(tree: Map<string, string>): Record<string, string> {
  return Object.fromEntries<string>(
    [...tree]
      .filter(([file]) => !file.includes('/hashstates/') && !file.includes('/_layers/sha512/'))
      .map(([file, content]): [string, string] => [
        file.replace(/\/_uploads\/[^/]+\//, '/_uploads/ID/'),
        file.endsWith('/startedat') ? content.replace(/\d/g, '0') : content,
      ])
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
}

function uploadsOf(repository: Repository): UploadService {
  if (repository.uploads === undefined) throw new TypeError('no uploads')
  return repository.uploads
}

async function pushBlob(repository: Repository, digest: Digest): Promise<void> {
  const bytes = goldenBlob(digest)
  const session = await uploadsOf(repository).start()
  const half = Math.floor(bytes.length / 2)
  await session.append(bodyOf(bytes.subarray(0, half)), 0)
  await session.append(bodyOf(bytes.subarray(half)), half)
  await session.complete(digest)
}

/** Pushes what a manifest refers to, then the manifest: by digest if it is a child, else by tag. */
async function pushManifest(repository: Repository, digest: Digest, tag?: string): Promise<void> {
  const bytes = goldenBlob(digest)
  const { mediaType, blobs, manifests } = parseManifest(bytes)
  for (const child of manifests) await pushManifest(repository, child.digest)
  for (const blob of blobs) await pushBlob(repository, blob.digest)
  const reference = tag === undefined ? digestReference(digest) : tagReference(parseTag(tag))
  await repository.manifests.put(bytes, mediaType, reference)
}

t.test(
  'The tree that a push sequence leaves is the one that distribution leaves, and the referrers',
  async t => {
    const root = t.testdir({})
    const driver = await openTestDriver(t, 'filesystem', { root })
    const registry = createLocalRegistry(createStores(driver), { allowDelete: true })
    const at = (name: string) => registry.repository(parseRepositoryName(name))
    const tags = fs
      .readFileSync('fixtures/distribution-tags.txt', 'utf8')
      .trim()
      .split('\n')
      .map(line => /^(.+):([^: ]+) (.+)$/.exec(line) ?? [])
    const entries = [...golden.keys()].flatMap(
      file => /hello\/_manifests\/tags\/latest\/index\/sha256\/(\w+)\//.exec(file)?.[1] ?? [],
    )

    for (const hex of entries) await pushManifest(at('library/hello'), parseDigest(`sha256:${hex}`), 'latest')
    for (const [, name = '', tag = '', digest = ''] of tags) {
      await pushManifest(at(name), parseDigest(digest), tag)
    }
    const onlyBlobs = [...golden].filter(([file]) => /\/blobs\/only\/_layers\/sha256\/.*link$/.test(file))
    for (const [, link] of onlyBlobs) {
      if (link === mounted)
        await uploadsOf(at('blobs/only')).mount(mounted, parseRepositoryName('library/hello'))
      else await pushBlob(at('blobs/only'), parseDigest(link))
    }
    const left = await uploadsOf(at('library/hello')).start()
    await left.append(bodyOf('the first half of a blob, '), 0)

    const tree = [...treeBelow(root)]
    const isReferrer = ([file]: readonly [string, string]) => file.includes('/_referrers/')
    const ours = comparable(new Map(tree.filter(file => !isReferrer(file))))
    const theirs = comparable(golden)
    t.same(Object.keys(ours), Object.keys(theirs))
    t.same(ours, theirs)
    const sbom = tags.find(([, , tag]) => tag === 'sbom')?.[3]
    t.same(
      tree.filter(isReferrer).map(([, link]) => link),
      [sbom],
      'the one manifest with a subject',
    )
  },
)
