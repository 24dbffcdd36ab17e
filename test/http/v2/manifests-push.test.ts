// PUT of manifests beyond images: other types, other digests, several tags, and rules.
import { createHash } from 'node:crypto'
import t from 'tap'
import { mediaTypes } from '../../../lib/oci/media-types.ts'
import { createManifestRules } from '../../../lib/registry/manifest-rules.ts'
import { createTagPolicy } from '../../../lib/registry/tag-policy.ts'
import {
  codesOf,
  detailOf,
  manifestOf,
  openSocket,
  pushBlob,
  pushImage,
  putManifest,
  sha256,
  startApp,
  type ErrorBody,
} from '../../support/http-client.ts'

const artifactType = 'application/vnd.oci.artifact.manifest.v1+json'

function sha512(content: string): string {
  return `sha512:${createHash('sha512').update(content).digest('hex')}`
}

function put(address: string, body: string, type: string = mediaTypes.ociManifest): Promise<Response> {
  return fetch(address, { method: 'PUT', body, headers: { 'Content-Type': type } })
}

t.test('PUT manifest refuses types that it could not give out again', async t => {
  const { url } = await startApp(t)
  const table: readonly (readonly [document: object, type: string, detail: RegExp])[] = [
    [
      { a: 1 },
      'application/vnd.example',
      /^mediaType is missing: .* "application\/vnd\.example" must name its type itself$/,
    ],
    [
      { mediaType: 'application/a' },
      'application/b',
      /^mediaType "application\/a" does not match Content-Type "application\/b"$/,
    ],
    [{ mediaType: 'text/html' }, 'text/html', /^unsupported manifest media type: "text\/html"$/],
    [{ mediaType: 'text/html' }, 'application/octet-stream', /does not match/],
    [{ mediaType: 'image/svg+xml' }, 'image/svg+xml', /^unsupported/],
    [{ mediaType: 'application/xhtml+xml' }, 'application/xhtml+xml', /^unsupported/],
    [['application/a'], 'application/a', /not a JSON object/],
  ]
  for (const [document, type, detail] of table) {
    const res = await put(`${url}/v2/foo/manifests/v1`, JSON.stringify(document), type)
    t.equal(res.status, 400, type)
    const { errors } = (await res.json()) as ErrorBody
    t.match(errors, [{ code: 'MANIFEST_INVALID', detail }], type)
  }
  t.equal((await fetch(`${url}/v2/foo/manifests/v1`)).status, 404)
})

t.test('PUT manifest takes unknown types that name themselves, and gives them out as they came', async t => {
  const { url } = await startApp(t)
  const missing = { mediaType: 'application/octet-stream', digest: sha256('missing'), size: 7 }
  for (const mediaType of [artifactType, 'application/vnd.example.v1+json', 'application/vnd.example']) {
    const body = JSON.stringify({
      mediaType,
      artifactType: 'application/x',
      blobs: [missing],
      subject: missing,
    })

    const res = await put(`${url}/v2/foo/manifests/v1`, body, `${mediaType}; charset=utf-8`)

    t.equal(res.status, 201)
    t.equal(res.headers.get('oci-subject'), missing.digest)
    for (const reference of ['v1', sha256(body)]) {
      const got = await fetch(`${url}/v2/foo/manifests/${reference}`)
      t.equal(got.headers.get('content-type'), mediaType)
      t.equal(await got.text(), body)
    }
  }
})

t.test('PUT manifest takes an artifact with an empty config', async t => {
  const { url } = await startApp(t)
  const config = {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: await pushBlob(url, 'foo', '{}'),
    size: 2,
  }
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: 'application/vnd.example.sbom',
    config,
    layers: [config],
  })

  t.equal((await put(`${url}/v2/foo/manifests/${sha256(body)}`, body)).status, 201)
  t.equal(await (await fetch(`${url}/v2/foo/manifests/${sha256(body)}`)).text(), body)
})

t.test('PUT manifest by a sha512 digest stores it under that', async t => {
  const { url } = await startApp(t)
  const body = manifestOf(await pushBlob(url, 'foo', '{}'), 2)
  const digest = sha512(body)

  const wrong = await put(`${url}/v2/foo/manifests/${sha512('other')}`, body)
  t.equal(wrong.status, 400)
  t.same(await codesOf(wrong), ['DIGEST_INVALID'])
  const res = await put(`${url}/v2/foo/manifests/${digest}?tag=v1`, body)
  t.equal(res.status, 201)
  t.equal(res.headers.get('docker-content-digest'), digest)
  t.equal(res.headers.get('location'), `${url}/v2/foo/manifests/${digest}`)

  for (const reference of [digest, 'v1']) {
    const got = await fetch(`${url}/v2/foo/manifests/${reference}`)
    t.equal(got.headers.get('docker-content-digest'), digest)
    t.equal(await got.text(), body)
  }
  t.equal(
    (await fetch(`${url}/v2/foo/manifests/${sha256(body)}`)).status,
    404,
    'it was pushed by another name',
  )
  t.equal((await fetch(`${url}/v2/foo/manifests/${digest}`, { method: 'DELETE' })).status, 202)
  for (const reference of [digest, 'v1']) {
    t.equal((await fetch(`${url}/v2/foo/manifests/${reference}`)).status, 404)
  }
})

t.test('PUT manifest ?tag= sets every tag, and says so one by one', async t => {
  const { url, port } = await startApp(t)
  const body = manifestOf(await pushBlob(url, 'foo', '{}'), 2)
  const digest = sha256(body)
  const { write, until } = await openSocket(t, port)

  write(
    `PUT /v2/foo/manifests/${digest}?tag=a&tag=b&tag=a HTTP/1.1\r\nHost: x\r\n` +
      `Content-Type: ${mediaTypes.ociManifest}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  const answer = await until(text => text.includes('\r\n\r\n'))

  t.match(answer, /^HTTP\/1\.1 201 /)
  t.same(answer.match(/^OCI-Tag: .*$/gim), ['OCI-Tag: a', 'OCI-Tag: b'])
  const named = await put(`${url}/v2/foo/manifests/c?tag=d`, body)
  t.equal(named.status, 201)
  t.equal(named.headers.get('oci-tag'), 'd')
  for (const tag of ['a', 'b', 'c', 'd']) {
    t.equal((await fetch(`${url}/v2/foo/manifests/${tag}`)).headers.get('docker-content-digest'), digest, tag)
  }
  t.equal((await put(`${url}/v2/foo/manifests/${digest}`, body)).headers.get('oci-tag'), null)
})

t.test('PUT manifest ?tag= stores nothing if one of the tags is none, or they are too many', async t => {
  const { url } = await startApp(t)
  const body = manifestOf(await pushBlob(url, 'foo', '{}'), 2)
  const address = `${url}/v2/foo/manifests/${sha256(body)}`
  const many = (count: number) => Array.from({ length: count }, (_, index) => `tag=t${index}`).join('&')

  for (const query of ['tag=a&tag=.b', 'tag=', 'tag=a%2Fb', `tag=${'a'.repeat(129)}`]) {
    const res = await put(`${address}?${query}`, body)
    t.equal(res.status, 400, query)
    t.same(await codesOf(res), ['TAG_INVALID'])
  }
  const res = await put(`${address}?${many(65)}`, body)
  t.equal(res.status, 414)
  t.same(await codesOf(res), ['TAG_INVALID'])
  t.equal((await fetch(address)).status, 404)
  t.equal((await put(`${address}?${many(64)}`, body)).status, 201)
})

t.test('an immutable tag is moved neither by PUT nor away by DELETE: 409', async t => {
  const tagPolicy = createTagPolicy([{ repository: undefined, tags: ['v*'] }])
  const { url } = await startApp(t, { rules: { tagPolicy } })
  const { digest, manifest } = await pushImage(url, 'foo', 'v1')
  const other = manifestOf(await pushBlob(url, 'foo', '[]'), 2)
  const remove = (reference: string) => fetch(`${url}/v2/foo/manifests/${reference}`, { method: 'DELETE' })
  const refusals = [
    await putManifest(url, 'foo', 'v1', other),
    await putManifest(url, 'foo', `${sha256(other)}?tag=latest&tag=v1`, other),
    await remove('v1'),
    await remove(digest),
  ]

  for (const res of refusals) {
    t.equal(res.status, 409)
    t.match(await res.json(), {
      errors: [{ code: 'DENIED', detail: `tag "v1" is immutable: it points to ${digest}` }],
    })
  }
  t.equal((await putManifest(url, 'foo', 'v1', manifest)).status, 201, 'the same again')
  t.equal((await putManifest(url, 'foo', 'latest', other)).status, 201)
  t.equal((await putManifest(url, 'foo', 'latest', manifest)).status, 201, 'another tag may move')
  t.equal((await remove('latest')).status, 202)
  t.equal((await fetch(`${url}/v2/foo/manifests/v1`)).headers.get('docker-content-digest'), digest)
})

t.test('PUT manifest holds layers elsewhere and children of an index against the rules', async t => {
  const manifestRules = createManifestRules({
    disabled: false,
    manifests: {
      urls: { allow: ['^https://layers\\.example/'], deny: [] },
      indexes: { platforms: 'list', platformlist: [{ architecture: 'amd64', os: 'linux' }] },
    },
  })
  const { url } = await startApp(t, { rules: { manifestRules } })
  const config = { mediaType: 'application/x', digest: await pushBlob(url, 'foo', '{}'), size: 2 }
  const layerAt = (address: string) =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config,
      layers: [
        {
          mediaType: `${mediaTypes.ociNonDistributablePrefix}v1.tar`,
          digest: sha256('elsewhere'),
          size: 9,
          urls: [address],
        },
      ],
    })
  const indexFor = (architecture?: string) =>
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [
        {
          mediaType: mediaTypes.ociManifest,
          digest: sha256('child'),
          size: 5,
          ...(architecture !== undefined && { platform: { architecture, os: 'linux' } }),
        },
      ],
    })

  const denied = await put(`${url}/v2/foo/manifests/v1`, layerAt('https://other.example/l'))
  t.equal(denied.status, 400)
  t.equal(await detailOf(denied), `invalid URL on layer ${sha256('elsewhere')}: "https://other.example/l"`)
  t.equal((await put(`${url}/v2/foo/manifests/v1`, layerAt('https://layers.example/l'))).status, 201)
  const lacking = await put(`${url}/v2/foo/manifests/v2`, indexFor('amd64'), mediaTypes.ociIndex)
  t.equal(lacking.status, 400)
  t.same(await codesOf(lacking), ['MANIFEST_BLOB_UNKNOWN'])
  for (const architecture of ['arm64', undefined]) {
    t.equal(
      (await put(`${url}/v2/foo/manifests/v2`, indexFor(architecture), mediaTypes.ociIndex)).status,
      201,
    )
  }
})
