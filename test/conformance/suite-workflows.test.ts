// The requests of the official suite's older form, in its order and with its headers; what its steps share is shared
// here, so that one sequence is one test.
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { absentDigest, digestOf, octetStream, send, withQuery, type Repository } from './repository.ts'
import { checkSentences, sentence } from './sentences.ts'

const accept = { Accept: mediaTypes.ociManifest }
const config =
  '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"author":"suite"}'
const emptyJson = '{}'

async function setUpImage(repository: Repository, tag: string) {
  const layer = await repository.pushBlob('a layer')
  return repository.pushImage({
    tag,
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: layer, size: 7 }],
  })
}

checkSentences(import.meta.url, [
  sentence('suite pull', 'blobs and manifests, there and not there', async (t, { repository }) => {
    const { digest, bytes } = await setUpImage(repository, 'tagtest0')
    const blob = await repository.pushBlob(config)
    const status = async (method: string, url: string) =>
      (await send(method, url, { headers: accept })).status

    for (const method of ['HEAD', 'GET']) {
      t.equal(await status(method, repository.blob(absentDigest)), 404)
      const found = await send(method, repository.blob(blob))
      t.equal(found.status, 200)
      t.equal(found.headers.get('docker-content-digest'), blob)
      t.equal(await status(method, repository.manifest('.INVALID_MANIFEST_NAME')), 404)
      for (const reference of [digest, 'tagtest0']) {
        const answer = await send(method, repository.manifest(reference), { headers: accept })
        t.equal(answer.status, 200)
        t.equal(answer.headers.get('docker-content-digest'), digest)
        if (method === 'GET') t.ok(answer.bytes.equals(bytes))
      }
    }
    const invalid = await send('PUT', repository.manifest('sha256:totallywrong'), {
      body: 'blablabla',
      headers: { 'Content-Type': mediaTypes.ociManifest },
    })
    t.ok(invalid.status === 400 || invalid.status === 404)
    const { errors } = JSON.parse(invalid.bytes.toString()) as { errors: { code: string }[] }
    t.ok(errors.every(({ code }) => ['DIGEST_INVALID', 'MANIFEST_INVALID'].includes(code)))
  }),

  sentence('suite push', 'a blob that is streamed', async (t, { repository }) => {
    const digest = digestOf(config)
    const started = await send('POST', repository.uploads)
    const streamed = await send('PATCH', started.location, { body: config, headers: octetStream })
    t.equal(streamed.status, 202)
    const closed = await send('PUT', withQuery(streamed.location, { digest }), { headers: octetStream })
    t.equal(closed.status, 201)
    t.equal((await send('GET', closed.location)).status, 200)
  }),

  sentence('suite push', 'a blob in one request and in two', async (t, { repository }) => {
    const digest = digestOf(config)
    t.equal((await send('GET', repository.blob(absentDigest))).status, 404)
    const single = await send('POST', withQuery(repository.uploads, { digest }), {
      body: config,
      headers: octetStream,
    })
    t.equal(single.status, 201)
    t.equal((await send('GET', single.location)).status, 200)
    const started = await send('POST', repository.uploads)
    t.equal(started.status, 202)
    const put = await send('PUT', withQuery(started.location, { digest }), {
      body: config,
      headers: octetStream,
    })
    t.equal(put.status, 201)
    t.equal((await send('GET', put.location)).status, 200)
    t.equal((await send('GET', repository.blob(digest))).status, 200)
  }),

  sentence('suite push', 'a blob in chunks, one of them out of order', async (t, { repository }) => {
    const [first, second] = [config.slice(0, 3), config.slice(3)]
    const digest = digestOf(config)
    const range = (from: number, to: number) => ({ ...octetStream, 'Content-Range': `${from}-${to - 1}` })
    const early = await send('PATCH', (await send('POST', repository.uploads)).location, {
      body: second,
      headers: range(3, config.length),
    })
    t.equal(early.status, 416)

    const started = await send('POST', repository.uploads)
    const one = await send('PATCH', started.location, { body: first, headers: range(0, 3) })
    t.equal(one.status, 202)
    t.equal(one.headers.get('range'), '0-2')
    const retried = await send('PATCH', one.location, { body: first, headers: range(0, 3) })
    t.equal(retried.status, 416)
    const status = await send('GET', one.location)
    t.equal(status.status, 204)
    t.equal(status.headers.get('range'), '0-2')
    const two = await send('PATCH', status.location, { body: second, headers: range(3, config.length) })
    t.equal(two.status, 202)
    const closed = await send('PUT', withQuery(two.location, { digest }), { headers: octetStream })
    t.equal(closed.status, 201)
    t.equal((await send('GET', closed.location)).bytes.toString(), config)
  }),

  sentence(
    'suite push',
    'a mount: of nothing, of a blob, of a blob without its repository',
    async (t, { repository, other }) => {
      const mount = await repository.pushBlob(config)
      const absent = await send(
        'POST',
        withQuery(other.uploads, { mount: absentDigest, from: repository.name }),
      )
      t.equal(absent.status, 202)
      t.match(absent.location, `/v2/${other.name}/blobs/uploads/`)
      const mounted = await send('POST', withQuery(other.uploads, { mount, from: repository.name }))
      t.ok(mounted.status === 201 || mounted.status === 202)
      t.equal(mounted.status, 201, 'it is supported')
      t.equal((await send('GET', mounted.location)).status, 200)
      const anonymous = await send('POST', withQuery(other.uploads, { mount }))
      t.ok(anonymous.status === 201 || anonymous.status === 202)
      t.ok(anonymous.location)
    },
  ),

  sentence('suite push', 'manifests, with layers and with none', async (t, { repository }) => {
    t.equal(
      (await send('GET', repository.manifest('.INVALID_MANIFEST_NAME'), { headers: accept })).status,
      404,
    )
    const { bytes, digest } = await setUpImage(repository, 'test0')
    for (const tag of ['test0', 'test1', 'test2', 'test3']) {
      const { status, location } = await repository.putManifest(tag, bytes)
      t.equal(status, 201)
      t.ok(location)
    }
    const empty = await repository.pushImage({ layers: [], tag: 'emptylayer' })
    t.equal(empty.answer.status, 201)
    t.equal((await send('GET', repository.manifest(digest), { headers: accept })).status, 200)
  }),

  sentence('suite discovery', 'tags, by `n` and `last`', async (t, { repository }) => {
    const { bytes } = await setUpImage(repository, 'test0')
    for (const tag of ['test1', 'test2', 'test3']) await repository.putManifest(tag, bytes)
    t.equal((await repository.listTags()).length, 4)
    const half = await repository.listTags({ n: '2' })
    t.equal(half.length, 2)
    const last = half[1] ?? ''
    const rest = await repository.listTags({ n: '2', last })
    t.ok(rest.length <= 2)
    t.notOk(rest.includes(last))
  }),

  sentence('suite discovery', 'referrers from before and after their subject', async (t, { repository }) => {
    const size = emptyJson.length
    const empty = {
      mediaType: 'application/vnd.oci.empty.v1+json',
      digest: await repository.pushBlob(emptyJson),
      size,
    }
    const layer = { mediaType: mediaTypes.octetStream, digest: await repository.pushBlob('aaa'), size: 3 }
    const subject = await prepareImage(repository)
    const annotations = { 'org.opencontainers.conformance.test': 'test config a' }
    const types = ['application/vnd.nhl.peanut.butter.bagel', 'application/vnd.nba.strawberry.jam.croissant']
    const attach = async (artifactType: string, viaConfig: boolean) => {
      const { answer, digest } = viaConfig
        ? await repository.pushImage({ subject, annotations, configType: artifactType, layers: [empty] })
        : await repository.pushImage({ subject, annotations, artifactType, layers: [layer] })
      t.equal(answer.headers.get('oci-subject'), subject.digest)
      return digest
    }
    const first = [await attach(types[0] ?? '', true), await attach(types[0] ?? '', false)]
    const index = await repository.pushIndex({ subject, annotations, artifactType: types[1] ?? '' })
    t.equal(index.answer.headers.get('oci-subject'), subject.digest)
    await repository.putManifest('tagtest0', subject.bytes)
    const second = [await attach(types[1] ?? '', true), await attach(types[1] ?? '', false)]

    const listed = await repository.listReferrers(subject.digest)
    t.same(listed.map(({ digest }) => digest).toSorted(), [...first, index.digest, ...second].toSorted())
    for (const descriptor of listed) t.same(descriptor.annotations, annotations)
    const filtered = await repository.listReferrers(subject.digest, { artifactType: types[0] ?? '' })
    t.same(filtered.map(({ digest }) => digest).toSorted(), first.toSorted())
    t.same(await repository.listReferrers(absentDigest), [])
  }),

  sentence('suite management', 'a tag, its manifest and a blob are deleted', async (t, { repository }) => {
    const { digest } = await setUpImage(repository, 'tagtest0')
    const blob = await repository.pushBlob(config)
    const before = await repository.listTags()
    t.equal((await send('DELETE', repository.manifest('tagtest0'))).status, 202)
    t.equal((await send('DELETE', repository.manifest(digest))).status, 202)
    t.equal((await send('DELETE', repository.manifest(digest))).status, 404)
    t.equal((await send('GET', repository.manifest(digest), { headers: accept })).status, 404)
    t.equal((await send('GET', repository.manifest('tagtest0'), { headers: accept })).status, 404)
    t.equal((await send('GET', repository.tags)).status, 200)
    t.ok((await repository.listTags()).length < before.length)
    t.equal((await send('DELETE', repository.blob(blob))).status, 202)
    t.equal((await send('GET', repository.blob(blob))).status, 404)
  }),
])

/** An image whose blobs are pushed, but whose manifest is not. */
async function prepareImage(repository: Repository) {
  const descriptor = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: await repository.pushBlob(config),
    size: config.length,
  }
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: descriptor, layers: [] }
  const bytes = Buffer.from(JSON.stringify(manifest))
  return { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length, bytes }
}
