// Lists of tags and repositories, in pages, and tags that go.
import type { Test } from 'tap'
import { digestOf } from '../../../lib/oci/digest.ts'
import { ManifestUnknownError } from '../../../lib/oci/errors.ts'
import { digestReference } from '../../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import {
  app,
  other,
  pushBlob,
  pushManifest,
  removeManifest,
  removeTag,
  tagged,
  type Open,
} from './content.ts'

export function tagSuite(t: Test, open: Open): void {
  void t.test('TagService.list() of a repository that never had a tag: NAME_UNKNOWN', async t => {
    const registry = await open(t)
    await pushBlob(registry.repository(app), 'blobs alone')

    for (const name of [app, other]) {
      await t.rejects(registry.repository(name).tags.list({}), { code: 'NAME_UNKNOWN', detail: { name } })
    }
  })

  void t.test('TagService.list() goes page by page, in byte order', async t => {
    const repository = (await open(t)).repository(app)
    for (const tag of ['b', 'a', 'C', '1.0', 'a-1']) await pushManifest(repository, tag, 'same')

    t.same(await repository.tags.list({}), { items: ['1.0', 'C', 'a', 'a-1', 'b'], more: false })
    t.same(await repository.tags.list({ limit: 2 }), { items: ['1.0', 'C'], more: true })
    t.same(await repository.tags.list({ limit: 2, after: 'C' }), { items: ['a', 'a-1'], more: true })
    t.same(await repository.tags.list({ limit: 2, after: 'a-1' }), { items: ['b'], more: false })
    t.same(await repository.tags.list({ limit: 2, after: 'absent' }), { items: ['b'], more: false })
    t.same(await repository.tags.list({ limit: 0 }), { items: [], more: false })
    t.same(await repository.tags.list({ after: 'z' }), { items: [], more: false })
  })

  void t.test('TagService.remove() leaves the manifest and other tags', async t => {
    const repository = (await open(t)).repository(app)
    const { digest } = await pushManifest(repository, 'one', 'same')
    await pushManifest(repository, 'two', 'same')

    await removeTag(repository, 'one')

    await t.rejects(repository.manifests.get(tagged('one')), ManifestUnknownError)
    await t.rejects(removeTag(repository, 'one'), ManifestUnknownError)
    t.equal((await repository.manifests.get(tagged('two'))).descriptor.digest, digest)
    await removeTag(repository, 'two')
    t.same(await repository.tags.list({}), { items: [], more: false }, 'the repository stays known')
    t.equal((await repository.manifests.get(digestReference(digest))).descriptor.digest, digest)
  })

  void t.test('TagService.remove() knows no tag that was never there', async t => {
    const repository = (await open(t)).repository(app)
    await pushManifest(repository, 'one')

    await t.rejects(removeTag(repository, 'two'), ManifestUnknownError)
    await t.rejects(removeManifest(repository, digestOf(Buffer.from('x'))), ManifestUnknownError)
  })

  void t.test('Registry.repositories() lists those with manifests, page by page', async t => {
    const registry = await open(t)
    t.same(await registry.repositories({}), { items: [], more: false })
    for (const name of ['suite/b', 'suite/a/deep', 'suite/a']) {
      await pushManifest(registry.repository(parseRepositoryName(name)), 'latest')
    }
    await pushBlob(registry.repository(parseRepositoryName('suite/blobs')), 'alone')

    t.same(await registry.repositories({}), { items: ['suite/a', 'suite/a/deep', 'suite/b'], more: false })
    t.same(await registry.repositories({ limit: 1 }), { items: ['suite/a'], more: true })
    t.same(await registry.repositories({ limit: 5, after: 'suite/a' }), {
      items: ['suite/a/deep', 'suite/b'],
      more: false,
    })
  })
}
