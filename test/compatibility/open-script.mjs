// The recorded script of an open registry that may delete: several hundred requests, good and bad.
import * as content from './content.mjs'
import { deletions, lists, methods, names, pullManifests } from './read-script.mjs'
import { conditions, octets, pathOf, pushBlob, putManifest, withDigest } from './steps.mjs'

const { types } = content

export async function runOpen({ send }) {
  await askBase(send)
  await emptyLists(send)
  await uploads(send)
  await refusedUploads(send)
  await blobs(send)
  await pushManifests(send)
  await refusedManifests(send)
  await pullManifests(send)
  await lists(send)
  await names(send)
  await methods(send)
  await deletions(send)
}

async function askBase(send) {
  for (const path of [
    '/',
    '/v2/',
    '/v2',
    '/v1/',
    '/nowhere',
    '/v2/_unknown',
    '/v2/x',
    '/v2//',
    '/v2/a/../_catalog',
  ])
    await send(`base: GET ${path}`, { path })
  await send('base: HEAD /v2/', { method: 'HEAD', path: '/v2/' })
}

async function emptyLists(send) {
  await send('empty: catalog', { path: '/v2/_catalog' })
  await send('empty: tags', { path: '/v2/a/tags/list' })
  await send('empty: manifest by tag', { path: '/v2/a/manifests/latest' })
  await send('empty: manifest by digest', { path: `/v2/a/manifests/${content.absent}` })
  await send('empty: blob', { path: `/v2/a/blobs/${content.absent}` })
  await send('empty: HEAD of a blob', { method: 'HEAD', path: `/v2/a/blobs/${content.absent}` })
  await send('empty: HEAD of a manifest', { method: 'HEAD', path: '/v2/a/manifests/latest' })
  await send('empty: upload', { path: '/v2/a/blobs/uploads/0197a1b2-0000-7000-8000-000000000000' })
}

async function uploads(send) {
  for (const blob of ['layer', 'config', 'other', 'empty'])
    await pushBlob(send, `push ${blob}`, 'team/app', content[blob])
  await pushBlob(send, 'push what is there', 'team/app', content.layer)

  const started = await send('chunks: start', { method: 'POST', path: '/v2/team/app/blobs/uploads/' })
  let at = pathOf(started.headers.location)
  await send('chunks: state at the start', { path: at })
  const { bytes, digest } = content.layer
  const first = await send('chunks: first', {
    method: 'PATCH',
    path: at,
    headers: { ...octets, 'content-range': '0-399' },
    body: bytes.subarray(0, 400),
  })
  at = pathOf(first.headers.location)
  await send('chunks: HEAD of the state', { method: 'HEAD', path: at })
  await send('chunks: out of order', {
    method: 'PATCH',
    path: at,
    headers: { ...octets, 'content-range': '500-999' },
    body: bytes.subarray(500),
  })
  await send('chunks: of a wrong length', {
    method: 'PATCH',
    path: at,
    headers: { ...octets, 'content-range': '400-500' },
    body: bytes.subarray(400, 450),
  })
  const state = await send('chunks: state half-way', { path: at })
  at = pathOf(state.headers.location)
  const second = await send('chunks: second, without a range', {
    method: 'PATCH',
    path: at,
    headers: octets,
    body: bytes.subarray(400, 1000),
  })
  at = pathOf(second.headers.location)
  await send('chunks: finish', { method: 'PUT', path: withDigest(at, digest) })
  await send('chunks: finished again', { method: 'PUT', path: withDigest(at, digest) })

  const cancelled = await send('cancel: start', { method: 'POST', path: '/v2/team/app/blobs/uploads/' })
  at = pathOf(cancelled.headers.location)
  await send('cancel: cancel', { method: 'DELETE', path: at })
  await send('cancel: again', { method: 'DELETE', path: at })
  await send('cancel: state', { path: at })

  const mount = (name, query) =>
    send(`mount: ${name}`, { method: 'POST', path: `/v2/other/app/blobs/uploads/?${query}` })
  await mount('a blob', `mount=${digest}&from=team/app`)
  await mount('what is not there', `mount=${content.absent}&from=team/app`)
  await mount('from nowhere', `mount=${content.config.digest}&from=no/where`)
  await mount('without from', `mount=${content.config.digest}`)
  await mount('no digest', 'mount=sha256:1&from=team/app')
  await mount('from what is no name', `mount=${digest}&from=NO`)
  await send('mount: the blob is there', { method: 'HEAD', path: `/v2/other/app/blobs/${digest}` })
}

async function refusedUploads(send) {
  const start = async name =>
    pathOf(
      (await send(`${name}: start`, { method: 'POST', path: '/v2/team/app/blobs/uploads/' })).headers
        .location,
    )
  const finish = async (name, digest, body) =>
    send(`${name}: finish`, {
      method: 'PUT',
      path: withDigest(await start(name), digest),
      headers: octets,
      body,
    })
  await finish('wrong digest', content.absent, Buffer.from('not that'))
  await finish('digest too short', 'sha256:12', Buffer.from('x'))
  await finish('unknown algorithm', `md5:${'0'.repeat(32)}`, Buffer.from('x'))
  await finish(
    'upper-case digest',
    content.absent.replace(/[a-f]/g, letter => letter.toUpperCase()),
    Buffer.from('x'),
  )
  await finish('empty body, wrong digest', content.absent, Buffer.alloc(0))
  await send('no digest: finish', { method: 'PUT', path: await start('no digest'), body: Buffer.from('x') })
  await send('forged state: PATCH', {
    method: 'PATCH',
    path: `${(await start('forged state')).split('?')[0]}?_state=AAAA`,
    headers: octets,
    body: Buffer.from('x'),
  })
  await send('no state: PATCH', {
    method: 'PATCH',
    path: (await start('no state')).split('?')[0],
    headers: octets,
    body: Buffer.from('x'),
  })
  await send('other content type: PATCH', {
    method: 'PATCH',
    path: await start('other content type'),
    headers: { 'content-type': 'text/plain' },
    body: Buffer.from('x'),
  })
  for (const range of ['bytes 0-0/1', '0-0', 'x', '5-1', '-1', '0-'])
    await send(`range ${range}: PATCH`, {
      method: 'PATCH',
      path: await start(`range ${range}`),
      headers: { ...octets, 'content-range': range },
      body: Buffer.from('x'),
    })
  for (const id of ['x', '..', '0197a1b2-0000-7000-8000-000000000000'])
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE'])
      await send(`upload ${id}: ${method}`, { method, path: `/v2/team/app/blobs/uploads/${id}` })
  await send('single POST', {
    method: 'POST',
    path: `/v2/single/post/blobs/uploads/?digest=${content.layer.digest}`,
    headers: octets,
    body: content.layer.bytes,
  })
}

const ranges = [
  ...[
    'bytes=0-9',
    'bytes=10-',
    'bytes=-10',
    'bytes=0-0',
    'bytes=999-999',
    'bytes=990-2000',
    'bytes=0-9,20-29',
  ],
  ...[
    'bytes=1000-',
    'bytes=1000-1001',
    'bytes=5-1',
    'bytes=x',
    'items=0-1',
    'bytes=0-9,2000-',
    'bytes=-0',
    'bytes=-5000',
  ],
  ...['bytes=', 'bytes=0-9, 5-14', 'bytes = 0-9', 'bytes=0-99999999999999999999'],
]

async function blobs(send) {
  const { digest } = content.layer
  const path = `/v2/team/app/blobs/${digest}`
  for (const method of ['GET', 'HEAD']) {
    await send(`blob: ${method}`, { method, path })
    await send(`blob: ${method} of an empty one`, {
      method,
      path: `/v2/team/app/blobs/${content.empty.digest}`,
    })
    await send(`blob: ${method} from another repository`, { method, path: `/v2/not/linked/blobs/${digest}` })
    for (const [name, headers] of Object.entries(conditions(digest)))
      await send(`blob: ${method}, ${name}`, { method, path, headers })
  }
  for (const range of ranges) await send(`blob: ${range}`, { path, headers: { range } })
  await send('blob: HEAD of a range', { method: 'HEAD', path, headers: { range: 'bytes=0-9' } })
  await send('blob: If-Range holds', { path, headers: { range: 'bytes=0-9', 'if-range': `"${digest}"` } })
  await send('blob: If-Range does not hold', { path, headers: { range: 'bytes=0-9', 'if-range': '"x"' } })
  for (const wrong of [
    'sha256:12',
    'sha256',
    `md5:${'0'.repeat(32)}`,
    `sha256:${'g'.repeat(64)}`,
    `SHA256:${'0'.repeat(64)}`,
  ])
    await send(`blob: ${wrong.slice(0, 20)}`, { path: `/v2/team/app/blobs/${wrong}` })
}

async function pushManifests(send) {
  await putManifest(send, 'put: OCI by tag', 'oci', content.ociManifest, types.manifest)
  await putManifest(
    send,
    'put: OCI by digest',
    content.ociManifest.digest,
    content.ociManifest,
    types.manifest,
  )
  await putManifest(send, 'put: OCI without a media type', 'bare', content.bareManifest, types.manifest)
  await putManifest(send, 'put: schema 2', 'schema2', content.schema2, types.schema2)
  await putManifest(send, 'put: index', 'index', content.ociIndex, types.index)
  await putManifest(send, 'put: list', 'list', content.list, types.list)
  await putManifest(send, 'put: list for arm', 'armlist', content.armList, types.list)
  await putManifest(
    send,
    'put: with parameters',
    'parameters',
    content.ociManifest,
    `${types.manifest}; charset=utf-8`,
  )
  for (const tag of ['a', 'b', 'c', 'd', 'e'])
    await putManifest(send, `put: tag ${tag}`, tag, content.schema2, types.schema2)
  for (const name of ['aaa', 'bbb/ccc', 'bbb-ccc'])
    for (const blob of ['layer', 'config'])
      await send(`put: mount ${blob} into ${name}`, {
        method: 'POST',
        path: `/v2/${name}/blobs/uploads/?mount=${content[blob].digest}&from=team/app`,
      })
  for (const name of ['aaa', 'bbb/ccc', 'bbb-ccc'])
    await putManifest(send, `put: into ${name}`, 'latest', content.schema2, types.schema2, name)
}

async function refusedManifests(send) {
  for (const [name, { type, bytes }] of Object.entries(content.broken))
    await putManifest(send, `refused: ${name}`, 'refused', { bytes }, type)
  const put = (name, body, type, reference = 'refused') =>
    putManifest(send, `refused: ${name}`, reference, { bytes: Buffer.from(body) }, type)
  await put('no JSON', 'no', types.manifest)
  await put('nothing', '', types.manifest)
  await put('another media type', '{}', 'text/plain')
  await put('a digest of something else', content.schema2.bytes, types.schema2, content.absent)
  await put('a tag that is none', content.schema2.bytes, types.schema2, '-x')
  await put('a tag that is too long', content.schema2.bytes, types.schema2, 'x'.repeat(129))
  await send('refused: no content type', {
    method: 'PUT',
    path: '/v2/team/app/manifests/refused',
    body: content.schema2.bytes,
  })
}
