import { absentDigest, Repository, send } from './repository.ts'
import { checkSentences, sentence } from './sentences.ts'
import { startRegistry } from './start-registry.ts'

const refusals = [400, 405]

checkSentences(import.meta.url, [
  sentence('end-9 MUST', 'a deleted tag answers 202', async (t, { repository }) => {
    await repository.pushImage({ tag: 'v1' })
    t.equal((await send('DELETE', repository.manifest('v1'))).status, 202)
  }),

  sentence(
    'end-9 MUST',
    'where tags are not deleted, DELETE of one answers 400 or 405',
    async (t, { driver }) => {
      const { url } = await startRegistry(t, { driver, storage: 'delete: {enabled: false}' })
      const repository = new Repository(url, 'a/b')
      await repository.pushImage({ tag: 'v1' })
      const { status } = await send('DELETE', repository.manifest('v1'))
      t.ok(refusals.includes(status), `${status}`)
      t.equal((await send('GET', repository.manifest('v1'))).status, 200)
    },
  ),

  sentence('end-9 MUST', 'a deleted manifest answers 202', async (t, { repository }) => {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const { digest } = await repository.pushImage({ algorithm })
      t.equal((await send('DELETE', repository.manifest(digest))).status, 202)
    }
  }),

  sentence(
    'end-9 MUST (1.1)',
    'once deleted, a tag, a manifest and the tags that pointed to it answer 404',
    async (t, { repository }) => {
      const { digest, bytes } = await repository.pushImage({ tag: 'v1' })
      for (const tag of ['v2', 'v3']) await repository.putManifest(tag, bytes)
      await send('DELETE', repository.manifest('v1'))
      t.equal((await send('GET', repository.manifest('v1'))).status, 404)
      t.equal((await send('GET', repository.manifest('v2'))).status, 200, 'a tag is deleted alone')
      t.equal((await send('GET', repository.manifest(digest))).status, 200, 'its manifest stays')
      await send('DELETE', repository.manifest(digest))
      for (const reference of [digest, 'v2', 'v3']) {
        t.equal((await send('GET', repository.manifest(reference))).status, 404, reference)
      }
      t.same(await repository.listTags(), [])
    },
  ),

  sentence(
    'end-9 MUST',
    'DELETE of a manifest in a repository that does not exist answers 404',
    async (t, { repository }) => {
      for (const reference of ['v1', absentDigest]) {
        t.equal((await send('DELETE', repository.manifest(reference))).status, 404, reference)
      }
      await repository.pushImage()
      for (const reference of ['v1', absentDigest]) {
        t.equal((await send('DELETE', repository.manifest(reference))).status, 404, 'one that is there')
      }
    },
  ),

  sentence(
    'end-9 MUST',
    'where manifests are not deleted, DELETE of one answers 400 or 405',
    async (t, { driver }) => {
      const readOnly = 'delete: {enabled: true}, maintenance: {readonly: {enabled: true}}'
      for (const storage of ['delete: {enabled: false}', readOnly]) {
        const { url } = await startRegistry(t, { driver, storage })
        const { status } = await send('DELETE', new Repository(url, 'a/b').manifest(absentDigest))
        t.ok(refusals.includes(status), `${status}`)
      }
    },
  ),

  sentence('end-10 MUST', 'a deleted blob answers 202', async (t, { repository, other }) => {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const digest = await repository.pushBlob('to be deleted', algorithm)
      await other.pushBlob('to be deleted', algorithm)
      t.equal((await send('DELETE', repository.blob(digest))).status, 202)
      t.equal((await send('GET', repository.blob(digest))).status, 404)
      t.equal((await send('GET', other.blob(digest))).status, 200, 'another repository keeps it')
    }
  }),

  sentence(
    'end-10 MUST',
    'DELETE of a blob that is not there answers 404',
    async (t, { repository, other }) => {
      const digest = await other.pushBlob('not to be deleted')
      t.equal((await send('DELETE', repository.blob(absentDigest))).status, 404)
      t.equal((await send('DELETE', repository.blob(digest))).status, 404, 'it is in another repository')
      await send('DELETE', other.blob(digest))
      t.equal((await send('DELETE', other.blob(digest))).status, 404, 'it was deleted')
    },
  ),

  sentence('end-10 MUST', 'where blobs are not deleted, DELETE answers 400 or 405', async (t, { driver }) => {
    const { url } = await startRegistry(t, { driver, storage: 'delete: {enabled: false}' })
    const repository = new Repository(url, 'a/b')
    const digest = await repository.pushBlob('to stay')
    const { status } = await send('DELETE', repository.blob(digest))
    t.ok(refusals.includes(status), `${status}`)
    t.equal((await send('GET', repository.blob(digest))).status, 200)
  }),
])
