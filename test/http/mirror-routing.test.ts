// One port before several upstreams: the real server, asked in every way that clients have.
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { startMirrorServer } from '../support/server-with.ts'

async function start(t: Test, more = '') {
  const [hub, ghcr] = [await startFakeUpstream(t), await startFakeUpstream(t)]
  const server = await startMirrorServer(
    t,
    `
  reserved: [own/*]
  upstreams:
    - {name: docker.io, url: "${hub.url.href}", default: true, hosts: [docker.io], deny: [library/bad]}
    - {name: ghcr.io, url: "${ghcr.url.href}", hosts: [ghcr.io], virtualhosts: [ghcr.example], prefixes: [gh]}
  ${more}`,
  )
  const image = (fake: typeof hub, name: string) => {
    const layer = fake.addBlob(name, randomBytes(1000))
    const digest = fake.addManifest(name, 'latest', {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: { mediaType: mediaTypes.octetStream, digest: layer, size: 1000 },
      layers: [],
    })
    return { layer, digest }
  }
  return { hub, ghcr, server, image }
}

t.test('GET by any form of a name fetches a blob and a tag once', async t => {
  const { ghcr, hub, server, image } = await start(t)
  const { layer, digest } = image(ghcr, 'owner/app')
  const forms: readonly (readonly [name: string, query: string, headers: Record<string, string>])[] = [
    ['owner/app', '?ns=ghcr.io', {}],
    ['ghcr.io/owner/app', '', {}],
    ['gh/owner/app', '', {}],
    ['owner/app', '', { host: 'ghcr.example' }],
    ['owner/app', '?unknown=1&ns=ghcr.io', {}],
  ]
  for (const [name, query, headers] of forms) {
    const manifest = await server.ask(`/v2/${name}/manifests/latest${query}`, headers)
    const blob = await server.ask(`/v2/${name}/blobs/${layer}${query}`, headers)

    t.equal(manifest.status, 200, name + query)
    t.equal(manifest.headers['docker-content-digest'], digest)
    t.equal(manifest.headers['oci-namespace'], query === '' ? undefined : 'ghcr.io')
    t.equal(blob.status, 200)
    t.equal(blob.body.length, 1000)
  }
  const tags = await server.ask('/v2/owner/app/tags/list', { host: 'ghcr.example' })

  t.same(JSON.parse(tags.body.toString()), { name: 'owner/app', tags: ['latest'] })
  t.equal(ghcr.count(/^GET .*\/blobs\//), 1)
  t.equal(ghcr.count(/\/manifests\/latest/), 1)
  t.same(hub.requests, [])
})

t.test('GET of a name without a registry asks the default upstream', async t => {
  const { ghcr, hub, server, image } = await start(t)
  const { digest } = image(hub, 'owner/app')

  for (const path of ['owner/app/manifests/latest', 'docker.io/owner/app/manifests/latest']) {
    t.equal((await server.ask(`/v2/${path}`)).headers['docker-content-digest'], digest)
  }
  t.same(ghcr.requests, [])
})

t.test('GET for a registry that is not mirrored is 404, and asks nobody', async t => {
  const { ghcr, hub, server } = await start(t)

  for (const ns of ['quay.io', '127.0.0.1:80', 'localhost', 'a b', '//']) {
    const answer = await server.ask(`/v2/owner/app/manifests/latest?ns=${encodeURIComponent(ns)}`)
    t.equal(answer.status, 404, ns)
    t.match(answer.body.toString(), 'NAME_UNKNOWN')
  }
  t.same([...hub.requests, ...ghcr.requests], [])
})

t.test('GET of what is reserved or denied asks nobody, and gives nothing that was mirrored', async t => {
  const { hub, server, image } = await start(t)
  const bad = image(hub, 'library/bad')
  image(hub, 'own/app')

  for (const path of [
    'library/bad/manifests/latest',
    `library/bad/manifests/${bad.digest}`,
    `library/bad/blobs/${bad.layer}`,
    'own/app/manifests/latest',
  ]) {
    t.equal((await server.ask(`/v2/${path}`)).status, 404, path)
  }
  t.same(hub.requests, [])
})

t.test('PUT and GET of a reserved name never meet the upstream', async t => {
  const { hub, server } = await start(t)
  const body = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] })
  const put = await fetch(`${server.url}/v2/own/app/manifests/1`, {
    method: 'PUT',
    body,
    headers: { 'Content-Type': mediaTypes.ociIndex },
  })

  t.equal(put.status, 201)
  t.equal((await server.ask('/v2/own/app/manifests/1')).body.toString(), body)
  t.same(JSON.parse((await server.ask('/v2/own/app/tags/list')).body.toString()), {
    name: 'own/app',
    tags: ['1'],
  })
  t.same(hub.requests, [])
})

t.test(
  'POST through a virtual host, or with ns, gives a Location that leads back to the same repository',
  async t => {
    const { server } = await start(t)

    for (const [path, headers] of [
      ['/v2/owner/app/blobs/uploads/', { host: 'ghcr.example' }],
      ['/v2/owner/app/blobs/uploads/?ns=ghcr.io', {}],
    ] as const) {
      const started = await server.ask(path, headers, 'POST')
      const location = new URL(started.headers.location ?? '')
      t.equal(started.status, 202)
      t.equal((await server.ask(location.pathname + location.search, headers, 'GET')).status, 204)
    }
  },
)

t.test('POST mounts nothing from a repository that is not given out', async t => {
  const { ghcr, server, image } = await start(t)
  const { layer } = image(ghcr, 'owner/app')
  await server.ask(`/v2/ghcr.io/owner/app/blobs/${layer}`)
  await server.stop()
  const denying = await startMirrorServer(
    t,
    `{upstreams: [{name: ghcr.io, url: "${ghcr.url.href}", hosts: [ghcr.io], deny: [owner/*]}]}`,
    { root: server.root },
  )
  const from = encodeURIComponent('ghcr.io/owner/app')

  const mount = await denying.ask(`/v2/team/app/blobs/uploads/?mount=${layer}&from=${from}`, {}, 'POST')

  t.equal(mount.status, 202)
  t.equal((await denying.ask(`/v2/ghcr.io/owner/app/blobs/${layer}`)).status, 404)
})
