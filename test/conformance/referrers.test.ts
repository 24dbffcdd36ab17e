import fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { absentDigest, nextPage, Repository, send, withQuery, type Descriptor } from './repository.ts'
import { checkSentences, sentence } from './sentences.ts'
import { startRegistry } from './start-registry.ts'

const sbom = 'application/vnd.example.sbom.v1+json'
const signature = 'application/vnd.example.signature.v1'
const missing = { mediaType: mediaTypes.ociManifest, digest: absentDigest, size: 123 }

function digests(descriptors: readonly Pick<Descriptor, 'digest'>[]): string[] {
  return descriptors.map(({ digest }) => digest).toSorted()
}

/** The list's answer, parsed. */
async function indexOf(url: string) {
  const { bytes } = await send('GET', url)
  return JSON.parse(bytes.toString()) as Readonly<Record<string, unknown>> & { manifests: Descriptor[] }
}

checkSentences(import.meta.url, [
  sentence('end-12a MUST (1.1)', 'the list of a repository answers 200', async (t, { repository }) => {
    const { digest, descriptor } = await repository.pushImage()
    await repository.pushImage({ subject: descriptor })
    t.equal((await send('GET', repository.referrers(digest))).status, 200)
  }),

  sentence(
    'end-12a MUST NOT (1.1)',
    'a registry with referrers answers 404',
    async (t, { repository, other }) => {
      await repository.pushImage()
      t.equal((await send('GET', repository.referrers(absentDigest))).status, 200, 'no such subject')
      t.equal((await send('GET', other.referrers(absentDigest))).status, 200, 'no such repository')
    },
  ),

  sentence(
    'end-12a MUST (1.1)',
    'a request that is not valid, such as a malformed digest, answers 400',
    async (t, { repository }) => {
      for (const digest of ['sha256:abc', 'nonsense', 'md5:d41d8cd98f00b204e9800998ecf8427e', 'v1']) {
        t.equal((await send('GET', repository.referrers(digest))).status, 400, digest)
      }
    },
  ),

  sentence('end-12a MUST (1.1)', 'the answer is an image index in JSON', async (t, { repository }) => {
    const { digest, descriptor: subject } = await repository.pushImage()
    const { descriptor } = await repository.pushImage({ subject })
    const index = await indexOf(repository.referrers(digest))
    t.equal(index['schemaVersion'], 2)
    t.equal(index['mediaType'], mediaTypes.ociIndex)
    t.match(index.manifests, [descriptor])
  }),

  sentence('end-12a MUST (1.1)', 'Content-Type is that of an image index', async (t, { repository }) => {
    for (const digest of [absentDigest, (await repository.pushImage()).digest]) {
      const { headers } = await send('GET', repository.referrers(digest))
      t.equal(headers.get('content-type'), mediaTypes.ociIndex)
    }
  }),

  sentence(
    'end-12a MUST (1.1)',
    'the descriptors are of the manifests in the same repository that have this subject',
    async (t, { repository, other }) => {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const { digest, descriptor: subject } = await repository.pushImage({ algorithm })
        const expected = [
          await repository.pushImage({ subject }),
          await repository.pushImage({
            subject,
            algorithm,
            ...(algorithm === 'sha256' && { tag: 'tagged' }),
          }),
          await repository.pushIndex({ subject }),
        ]
        await repository.pushImage({ subject: missing })
        await other.pushImage({ subject })
        const listed = await repository.listReferrers(digest)
        t.same(digests(listed), digests(expected), algorithm)
        t.match(
          listed,
          digests(listed).map(() => ({ size: Number, mediaType: /^application/ })),
        )
      }
    },
  ),

  sentence(
    'end-12a MUST (1.1)',
    'a descriptor has the artifactType of its image or index',
    async (t, { repository }) => {
      const { digest, descriptor: subject } = await repository.pushImage()
      await repository.pushImage({ subject, artifactType: sbom })
      await repository.pushIndex({ subject, artifactType: signature })
      const listed = await repository.listReferrers(digest)
      t.same(listed.map(({ artifactType }) => artifactType).toSorted(), [sbom, signature])
    },
  ),

  sentence(
    'end-12a MUST (1.1)',
    'without an artifactType that of an image is the media type of its config',
    async (t, { repository }) => {
      for (const artifactType of [undefined, '']) {
        const { digest, descriptor: subject } = await repository.pushImage()
        await repository.pushImage({
          subject,
          configType: sbom,
          ...(artifactType === '' && { artifactType }),
        })
        const [descriptor] = await repository.listReferrers(digest)
        t.equal(descriptor?.artifactType, sbom)
      }
    },
  ),

  sentence('end-12a MUST (1.1)', 'that of an index is left out', async (t, { repository }) => {
    const { digest, descriptor: subject } = await repository.pushImage()
    await repository.pushIndex({ subject })
    const [descriptor] = await repository.listReferrers(digest)
    t.ok(descriptor)
    t.notOk(Object.hasOwn(descriptor ?? {}, 'artifactType'))
  }),

  sentence(
    'end-12a MUST (1.1)',
    'a descriptor has the annotations of its manifest',
    async (t, { repository }) => {
      const annotations = { 'org.example.a': 'ä "quoted"', 'org.example.b': '' }
      for (const kind of ['pushImage', 'pushIndex'] as const) {
        const { digest, descriptor: subject } = await repository.pushImage()
        await repository[kind]({ subject, annotations })
        const [descriptor] = await repository.listReferrers(digest)
        t.same(descriptor?.annotations, annotations)
      }
    },
  ),

  sentence('end-12a MUST (1.1)', 'without a referrer the list is empty', async (t, { repository, other }) => {
    const { digest } = await repository.pushImage()
    t.same(await repository.listReferrers(digest), [])
    t.same(await repository.listReferrers(absentDigest), [])
    t.same(await other.listReferrers(absentDigest), [])
  }),

  sentence(
    'end-12a MUST (1.1)',
    'a list that is too long for one answer has a Link to the next, each an index with other descriptors',
    async (t, { repository }) => {
      const { digest, descriptor: subject } = await repository.pushImage()
      const note = 'x'.repeat(150_000)
      const pushed: Descriptor[] = []
      for (let n = 0; n < 40; n++) {
        const annotations = { note, n: String(n) }
        pushed.push((await repository.pushIndex({ subject, annotations })).descriptor)
      }
      const found: Descriptor[] = []
      for (let url: string | undefined = repository.referrers(digest); url !== undefined;) {
        const answer = await send('GET', url)
        t.equal(answer.headers.get('content-type'), mediaTypes.ociIndex)
        t.ok(answer.bytes.length <= 4 * 1024 * 1024, 'no larger than a manifest may be')
        found.push(...(JSON.parse(answer.bytes.toString()) as { manifests: Descriptor[] }).manifests)
        url = nextPage(url, answer)
      }
      t.same(digests(found), digests(pushed))
    },
  ),

  sentence(
    'end-12a MUST (1.1)',
    'a list keeps up with what is pushed and deleted, in any order',
    async (t, { repository }) => {
      const { bytes, digest, descriptor: subject } = await repository.pushImage()
      await send('DELETE', repository.manifest(digest))
      const first = await repository.pushImage({ subject })
      const second = await repository.pushImage({ subject })
      t.same(digests(await repository.listReferrers(digest)), digests([first, second]))
      await repository.putManifest(digest, bytes)
      await send('DELETE', repository.manifest(first.digest))
      t.same(digests(await repository.listReferrers(digest)), digests([second]))
      await repository.putManifest('again', first.bytes)
      t.same(digests(await repository.listReferrers(digest)), digests([first, second]))
      await send('DELETE', repository.manifest('again'))
      t.same(digests(await repository.listReferrers(digest)), digests([first, second]), 'only a tag')
    },
  ),

  sentence('end-12b SHOULD (1.1)', 'the list is filtered by artifactType', async (t, { repository }) => {
    const { digest, descriptor: subject } = await repository.pushImage()
    const wanted = [
      await repository.pushImage({ subject, artifactType: sbom }),
      await repository.pushImage({ subject, configType: sbom }),
      await repository.pushIndex({ subject, artifactType: sbom }),
    ]
    await repository.pushImage({ subject, artifactType: signature })
    await repository.pushIndex({ subject })
    t.same(digests(await repository.listReferrers(digest, { artifactType: sbom })), digests(wanted))
    t.same(await repository.listReferrers(digest, { artifactType: 'application/vnd.example.other' }), [])
  }),

  sentence(
    'end-12b MUST (1.1)',
    'an answer that was filtered has OCI-Filters-Applied: artifactType, and only that one',
    async (t, { repository }) => {
      const { digest, descriptor: subject } = await repository.pushImage()
      await repository.pushImage({ subject, artifactType: sbom })
      for (const artifactType of [sbom, signature]) {
        const url = withQuery(repository.referrers(digest), { artifactType })
        t.equal((await send('GET', url)).headers.get('oci-filters-applied'), 'artifactType')
      }
      t.equal((await send('GET', repository.referrers(digest))).headers.get('oci-filters-applied'), null)
    },
  ),

  sentence(
    'end-12a MUST (1.1)',
    'manifests from before referrers were supported are listed if a fallback tag lists them',
    async (t, { driver }) => {
      if (driver !== 'filesystem') return void t.comment('a store in memory has no past')
      const root = t.testdir({})
      fs.cpSync(fileURLToPath(new URL('../../fixtures/distribution-tree', import.meta.url)), root, {
        recursive: true,
      })
      const { url } = await startRegistry(t, { driver, root })
      const repository = new Repository(url, 'library/hello')
      const old = await send('GET', repository.manifest('sbom'))
      const { subject, artifactType } = JSON.parse(old.bytes.toString())
      const digest = old.headers.get('docker-content-digest') ?? ''
      const entry = { mediaType: mediaTypes.ociManifest, digest, size: old.bytes.length, artifactType }
      const tag = (subject.digest as string).replace(':', '-')
      await repository.pushIndex({ manifests: [entry], tag })
      t.same(digests(await repository.listReferrers(subject.digest)), [digest])
    },
  ),

  sentence(
    'end-12a MUST (1.1)',
    'every manifest with a valid subject is listed from its push on',
    async (t, { repository }) => {
      for (const kind of ['pushImage', 'pushIndex'] as const) {
        const { digest, descriptor: subject } = await repository.pushImage()
        for (let count = 1; count <= 3; count++) {
          await repository[kind]({ subject, tag: `${kind}-${count}` })
          t.equal((await repository.listReferrers(digest)).length, count)
        }
      }
    },
  ),
])
