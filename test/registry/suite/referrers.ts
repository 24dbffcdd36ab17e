// Lists of referrers: what is in them, in pages, under pushes and deletions in any order.
import type { Test } from 'tap'
import { digestOf, type Digest } from '../../../lib/oci/digest.ts'
import { mediaTypes } from '../../../lib/oci/media-types.ts'
import { parseTag, digestReference, tagReference } from '../../../lib/oci/reference.ts'
import type { Repository } from '../../../lib/registry/registry.ts'
import { entryOf, fallbackIndex, referrerTo } from '../../support/referrers.ts'
import {
  app,
  manifestOver,
  other,
  pushBlob,
  pushManifest,
  removeManifest,
  removeTag,
  tagged,
  type Open,
} from './content.ts'

const subject = digestOf(Buffer.from('a subject that is never pushed'))

async function pushReferrer(repository: Repository, bytes: Buffer): Promise<Digest> {
  const { digest } = await repository.manifests.put(
    bytes,
    mediaTypes.ociIndex,
    digestReference(digestOf(bytes)),
  )
  return digest
}

const byDigest = (a: Buffer, b: Buffer) => (digestOf(a) < digestOf(b) ? -1 : 1)

export function referrerSuite(t: Test, open: Open): void {
  void t.test('ReferrerService.list() is empty where nothing refers to a digest', async t => {
    const registry = await open(t)
    await pushManifest(registry.repository(app), 'latest')

    for (const name of [app, other]) {
      const { items, more } = await registry.repository(name).referrers.list(subject, {}, {})
      t.same({ items, more }, { items: [], more: false })
    }
  })

  void t.test('ReferrerService.list() describes referrers by their own type and annotations', async t => {
    const repository = (await open(t)).repository(app)
    const blob = await pushBlob(repository, '{}')
    const { digest } = await pushManifest(repository, 'latest')
    const named = { subject: { ...blob, digest } }
    const config = { ...blob, mediaType: 'application/vnd.example.config' }
    const image = manifestOver([config], '1', named)
    const artifact = manifestOver([config], '2', { ...named, artifactType: 'application/vnd.example.sbom' })
    const index = referrerTo(digest, '3', { artifactType: undefined, annotations: undefined })

    for (const bytes of [image, artifact]) {
      const stored = await repository.manifests.put(bytes, mediaTypes.ociManifest, tagged('x'))
      t.equal(stored.subject, digest)
    }
    await pushReferrer(repository, index)

    const { items } = await repository.referrers.list(digest, {}, {})
    const ociManifest = mediaTypes.ociManifest
    const expected = [
      { ...entryOf(image), mediaType: ociManifest, artifactType: config.mediaType },
      { ...entryOf(artifact), mediaType: ociManifest },
      entryOf(index),
    ]
    t.same(
      items,
      expected.toSorted((a, b) => (a.digest < b.digest ? -1 : 1)),
    )
  })

  void t.test('ReferrerService.list() filters by artifact type, and pages what is left', async t => {
    const repository = (await open(t)).repository(app)
    const signatures: Buffer[] = []
    for (let i = 0; i < 20; i++) {
      const isSignature = i % 2 === 0
      const bytes = referrerTo(
        subject,
        String(i),
        isSignature ? {} : { artifactType: 'application/vnd.example.sbom' },
      )
      await pushReferrer(repository, bytes)
      if (isSignature) signatures.push(bytes)
    }
    const filter = { artifactType: 'application/vnd.example.signature' }
    const expected = signatures.toSorted(byDigest).map(bytes => entryOf(bytes))

    const { items, more: isMore } = await repository.referrers.list(subject, filter, {})
    t.same({ items, more: isMore }, { items: expected, more: false })
    let after: string | undefined
    const seen: unknown[] = []
    for (const more of [true, true, true, false]) {
      const page = await repository.referrers.list(subject, filter, { limit: 3, after })
      t.equal(page.more, more)
      seen.push(...page.items)
      after = page.items.at(-1)?.digest
    }
    t.same(seen, expected)
    const none = await repository.referrers.list(subject, { artifactType: 'none' }, {})
    t.same([none.items, none.more], [[], false])
  })

  void t.test('ReferrerService.list() follows pushes and deletions', async t => {
    const repository = (await open(t)).repository(app)
    const one = referrerTo(subject, 'one')
    const two = referrerTo(subject, 'two')
    const list = async () =>
      (await repository.referrers.list(subject, {}, {})).items.map(({ digest }) => digest)

    await pushReferrer(repository, one)
    await pushReferrer(repository, two)
    await removeManifest(repository, digestOf(one))
    t.same(await list(), [digestOf(two)])
    await pushReferrer(repository, one)
    t.same(
      await list(),
      [one, two].toSorted(byDigest).map(bytes => digestOf(bytes)),
    )
    await removeManifest(repository, digestOf(two))
    await removeManifest(repository, digestOf(one))
    t.same(await list(), [])
  })

  void t.test('ReferrerService.list() keeps the referrers of a subject that is deleted', async t => {
    const repository = (await open(t)).repository(app)
    const { digest } = await pushManifest(repository, 'latest')
    const bytes = referrerTo(digest, 'one')
    await pushReferrer(repository, bytes)

    await removeManifest(repository, digest)

    t.same((await repository.referrers.list(digest, {}, {})).items, [entryOf(bytes)])
  })

  void t.test('ReferrerService.list() ends a page that clients would not read', async t => {
    const repository = (await open(t)).repository(app)
    const large = [0, 1, 2].map(i => referrerTo(subject, `${i}${'x'.repeat(1_500_000)}`))
    for (const bytes of large) await pushReferrer(repository, bytes)
    const sorted = large.toSorted(byDigest).map(bytes => digestOf(bytes))

    const first = await repository.referrers.list(subject, {}, {})
    const second = await repository.referrers.list(subject, {}, { after: first.items.at(-1)?.digest })

    t.same([first.items.length, first.more], [2, true])
    t.same(
      [...first.items, ...second.items].map(({ digest }) => digest),
      sorted,
    )
    t.equal(second.more, false)
  })

  void t.test('ReferrerService.list() does not trust the tag of the fallback scheme', async t => {
    const repository = (await open(t)).repository(app)
    const own = referrerTo(subject, 'own')
    const strange = referrerTo(digestOf(Buffer.from('another subject')), 'strange')
    for (const bytes of [own, strange]) await pushReferrer(repository, bytes)
    const tag = parseTag(subject.replace(':', '-'))
    await repository.manifests.put(fallbackIndex([own, strange]), mediaTypes.ociIndex, tagReference(tag))

    t.same((await repository.referrers.list(subject, {}, {})).items, [entryOf(own)])
    await removeTag(repository, tag)
    t.same((await repository.referrers.list(subject, {}, {})).items, [entryOf(own)])
  })

  void t.test('ReferrerService.list() equals the survivors of fifty pushed and deleted at once', async t => {
    const repository = (await open(t)).repository(app)
    const all = [...Array(50).keys()].map(i => referrerTo(subject, String(i)))
    const survivors = all.filter((_, i) => i % 3 !== 0).toSorted(byDigest)

    await Promise.all(
      all.map(async bytes => {
        await pushReferrer(repository, bytes)
        await repository.referrers.list(subject, {}, {})
        if (survivors.includes(bytes)) return
        await removeManifest(repository, digestOf(bytes))
      }),
    )

    const { items } = await repository.referrers.list(subject, {}, {})
    t.same(
      items.map(({ digest }) => digest),
      survivors.map(bytes => digestOf(bytes)),
    )
  })
}
