import { mediaTypes } from '../../lib/oci/media-types.ts'
import { absentDigest, digestOf, imageConfig, Repository, send } from './repository.ts'
import { checkSentences, sentence } from './sentences.ts'

const content = 'what a blob holds'

checkSentences(import.meta.url, [
  sentence('end-1 MUST', 'a registry that implements the specification answers 200', async (t, { url }) => {
    t.equal((await send('GET', `${url}/v2/`)).status, 200)
  }),

  sentence('end-3 MUST', 'a repository name is of the grammar', async (t, { url }) => {
    const valid = ['a', '0/1', 'a.b/c_d/e__f/g---h', 'blobs/uploads', 'manifests/tags/list', 'a'.repeat(255)]
    for (const name of valid) {
      const repository = new Repository(url, name)
      const { digest } = await repository.pushImage()
      t.equal((await send('GET', repository.manifest(digest))).status, 200, name)
    }
    for (const name of ['A', 'a..b', 'a___b', '-a', 'a-', 'a/_b', '.a', 'a//b', 'a/B', 'a%20b', 'ä']) {
      const { status } = await send('POST', `${url}/v2/${name}/blobs/uploads/`)
      t.ok(status >= 400 && status < 500, `${name}: ${status}`)
    }
  }),

  sentence(
    'end-3 MUST',
    'a tag is of the grammar and has at most 128 characters',
    async (t, { repository }) => {
      const { bytes } = await repository.pushImage()
      for (const tag of ['a'.repeat(128), '_', '1.0-rc_1', 'A.b-C']) {
        t.equal((await repository.putManifest(tag, bytes)).status, 201, tag)
        t.equal((await send('GET', repository.manifest(tag))).status, 200, tag)
      }
      for (const tag of ['a'.repeat(129), '.a', '-a', 'a+b', 'a%20b']) {
        const put = await repository.putManifest(tag, bytes)
        t.ok(put.status >= 400 && put.status < 500, `${tag}: ${put.status}`)
        const got = await send('GET', repository.manifest(tag))
        t.ok(got.status === 404 || got.status === 400, `${tag}: ${got.status}`)
      }
    },
  ),

  sentence('end-3 MUST NOT', 'a reference is neither digest nor tag', async (t, { repository }) => {
    const { bytes } = await repository.pushImage()
    for (const reference of [
      'sha256:baddigeststring',
      'sha256:',
      ':x',
      'md5:d41d8cd98f00b204e9800998ecf8427e',
    ]) {
      t.equal((await repository.putManifest(reference, bytes)).status, 400, reference)
      const { status } = await send('GET', repository.manifest(reference))
      t.ok(status === 400 || status === 404, `${reference}: ${status}`)
    }
  }),

  sentence('end-3 SHOULD NOT', 'Content-Type of a manifest has parameters', async (t, { repository }) => {
    const { digest } = await repository.pushImage()
    for (const method of ['GET', 'HEAD']) {
      const { headers } = await send(method, repository.manifest(digest))
      t.notMatch(headers.get('content-type'), /;/, method)
    }
  }),

  sentence(
    'end-3 SHOULD',
    'Content-Type of a manifest is what it was pushed with',
    async (t, { repository }) => {
      const image = await repository.pushImage()
      const manifests = [image.descriptor]
      const pushed = [
        image,
        await repository.pushIndex({ manifests }),
        await repository.pushImage({ mediaType: mediaTypes.dockerManifest }),
        await repository.pushIndex({ manifests, mediaType: mediaTypes.dockerManifestList }),
        await repository.pushImage({ artifactType: 'application/vnd.example.sbom' }),
      ]
      for (const { digest, descriptor } of pushed) {
        const { headers } = await send('GET', repository.manifest(digest))
        t.equal(headers.get('content-type'), descriptor.mediaType)
      }
    },
  ),

  sentence(
    'end-3 MUST',
    'GET of an existing manifest answers 200 with it, by tag and by digest',
    async (t, { repository }) => {
      const { bytes, digest } = await repository.pushImage({ tag: 'v1' })
      for (const reference of ['v1', digest]) {
        const answer = await send('GET', repository.manifest(reference))
        t.equal(answer.status, 200)
        t.ok(answer.bytes.equals(bytes))
      }
    },
  ),

  sentence(
    'end-3 SHOULD',
    'GET of an existing manifest has Docker-Content-Digest, which is its digest',
    async (t, { repository }) => {
      const { digest } = await repository.pushImage({ tag: 'v1' })
      for (const reference of ['v1', digest]) {
        const { headers } = await send('GET', repository.manifest(reference))
        t.equal(headers.get('docker-content-digest'), digest)
      }
    },
  ),

  sentence(
    'end-3 MUST (next)',
    'GET of an existing manifest has Docker-Content-Digest, of the algorithm it was pushed with',
    async (t, { repository }) => {
      const { digest } = await repository.pushImage({ algorithm: 'sha512' })
      t.match(digest, /^sha512:/)
      const { headers, status } = await send('GET', repository.manifest(digest))
      t.equal(status, 200)
      t.equal(headers.get('docker-content-digest'), digest)
    },
  ),

  sentence('end-3 MUST', 'GET of a manifest that is not there answers 404', async (t, { repository }) => {
    t.equal((await send('GET', repository.manifest('v1'))).status, 404, 'no such repository')
    await repository.pushImage({ tag: 'v1' })
    for (const reference of ['v2', absentDigest]) {
      t.equal((await send('GET', repository.manifest(reference))).status, 404, reference)
    }
  }),

  sentence('end-2 MUST', 'GET of an existing blob answers 200 with it', async (t, { repository }) => {
    for (const body of [content, '']) {
      const answer = await send('GET', repository.blob(await repository.pushBlob(body)))
      t.equal(answer.status, 200)
      t.equal(answer.bytes.toString(), body)
    }
  }),

  sentence('end-2 SHOULD', 'GET of an existing blob has Docker-Content-Digest', async (t, { repository }) => {
    const { headers } = await send('GET', repository.blob(await repository.pushBlob(content)))
    t.ok(headers.get('docker-content-digest'))
  }),

  sentence(
    'end-2 MUST',
    'Docker-Content-Digest of a blob is a digest of the body',
    async (t, { repository }) => {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const digest = await repository.pushBlob(content, algorithm)
        const { headers, bytes } = await send('GET', repository.blob(digest))
        t.equal(headers.get('docker-content-digest'), digestOf(bytes, algorithm))
      }
    },
  ),

  sentence(
    'end-2 MUST (next)',
    'GET of an existing blob has Docker-Content-Digest',
    async (t, { repository }) => {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const digest = await repository.pushBlob(content, algorithm)
        const { headers } = await send('GET', repository.blob(digest))
        t.equal(headers.get('docker-content-digest'), digest)
      }
    },
  ),

  sentence(
    'end-2 MUST',
    'GET of a blob that is not in the repository answers 404',
    async (t, { repository, other }) => {
      const digest = await other.pushBlob(`${content} elsewhere`)
      t.equal((await send('GET', repository.blob(digest))).status, 404, 'no such repository')
      await repository.pushBlob(content)
      for (const absent of [digest, absentDigest]) {
        t.equal((await send('GET', repository.blob(absent))).status, 404)
      }
    },
  ),

  sentence('end-2 SHOULD (1.1)', 'Range is supported as RFC 9110 has it', async (t, { repository }) => {
    const url = repository.blob(await repository.pushBlob('0123456789'))
    const range = (value: string, headers = {}) => send('GET', url, { headers: { Range: value, ...headers } })
    const table: readonly (readonly [asked: string, body: string, range: string])[] = [
      ['bytes=2-4', '234', 'bytes 2-4/10'],
      ['bytes=7-', '789', 'bytes 7-9/10'],
      ['bytes=-3', '789', 'bytes 7-9/10'],
      ['bytes=8-100', '89', 'bytes 8-9/10'],
      ['bytes=-100', '0123456789', 'bytes 0-9/10'],
      ['bytes=0-0', '0', 'bytes 0-0/10'],
    ]
    for (const [asked, body, contentRange] of table) {
      const { status, headers, bytes } = await range(asked)
      t.equal(status, 206, asked)
      t.equal(bytes.toString(), body, asked)
      t.equal(headers.get('content-range'), contentRange, asked)
      t.equal(headers.get('content-length'), String(body.length), asked)
    }
    for (const asked of ['bytes=10-', 'bytes=10-20', 'bytes=-0']) {
      const { status, headers } = await range(asked)
      t.equal(status, 416, asked)
      t.equal(headers.get('content-range'), 'bytes */10', asked)
    }
    t.equal((await range('lines=1-2')).status, 200, 'another unit is ignored')
    t.equal(
      (await range('bytes=2-4', { 'If-Range': '"another"' })).status,
      200,
      'If-Range that does not match',
    )
    t.equal((await send('HEAD', url)).headers.get('accept-ranges'), 'bytes')
  }),

  sentence('end-3 MUST', 'HEAD of an existing manifest answers 200', async (t, { repository }) => {
    const { digest } = await repository.pushImage({ tag: 'v1' })
    for (const reference of ['v1', digest]) {
      const { status, bytes } = await send('HEAD', repository.manifest(reference))
      t.equal(status, 200)
      t.equal(bytes.length, 0)
    }
  }),

  sentence('end-2 MUST', 'HEAD of an existing blob answers 200', async (t, { repository }) => {
    const { status, bytes } = await send('HEAD', repository.blob(await repository.pushBlob(content)))
    t.equal(status, 200)
    t.equal(bytes.length, 0)
  }),

  sentence(
    'end-3 SHOULD',
    'HEAD of an existing manifest has Docker-Content-Digest (a MUST after 1.1)',
    async (t, { repository }) => {
      const { digest } = await repository.pushImage({ tag: 'v1' })
      for (const reference of ['v1', digest]) {
        const { headers } = await send('HEAD', repository.manifest(reference))
        t.equal(headers.get('docker-content-digest'), digest)
      }
    },
  ),

  sentence(
    'end-2 SHOULD',
    'HEAD of an existing blob has Docker-Content-Digest (a MUST after 1.1)',
    async (t, { repository }) => {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const digest = await repository.pushBlob(content, algorithm)
        const { headers } = await send('HEAD', repository.blob(digest))
        t.equal(headers.get('docker-content-digest'), digest)
      }
    },
  ),

  sentence(
    'end-3 MUST (1.1)',
    'HEAD of a manifest has its size in Content-Length',
    async (t, { repository }) => {
      const { digest, bytes } = await repository.pushImage({ tag: 'v1' })
      for (const reference of ['v1', digest]) {
        const { headers } = await send('HEAD', repository.manifest(reference))
        t.equal(headers.get('content-length'), String(bytes.length))
      }
    },
  ),

  sentence('end-2 MUST (1.1)', 'HEAD of a blob has its size in Content-Length', async (t, { repository }) => {
    for (const body of [content, '']) {
      const { headers } = await send('HEAD', repository.blob(await repository.pushBlob(body)))
      t.equal(headers.get('content-length'), String(body.length))
    }
  }),

  sentence('end-3 MUST', 'HEAD of a manifest that is not there answers 404', async (t, { repository }) => {
    t.equal((await send('HEAD', repository.manifest('v1'))).status, 404, 'no such repository')
    await repository.pushImage({ tag: 'v1' })
    for (const reference of ['v2', absentDigest]) {
      t.equal((await send('HEAD', repository.manifest(reference))).status, 404, reference)
    }
  }),

  sentence(
    'end-2 MUST',
    'HEAD of a blob that is not in the repository answers 404',
    async (t, { repository, other }) => {
      const digest = await other.pushBlob(`${content} elsewhere`)
      t.equal((await send('HEAD', repository.blob(digest))).status, 404, 'no such repository')
      await repository.pushImage({ configType: imageConfig })
      t.equal((await send('HEAD', repository.blob(digest))).status, 404)
    },
  ),

  sentence('end-3 MUST', 'a pull from a repository that does not exist answers 404', async (t, { other }) => {
    for (const url of [
      other.manifest('v1'),
      other.manifest(absentDigest),
      other.blob(absentDigest),
      other.tags,
    ]) {
      t.equal((await send('GET', url)).status, 404, url)
    }
  }),
])
