// The reading half of the open registry's script: manifests, lists, names, methods, deletions.
import * as content from './content.mjs'
import { conditions, pushBlob } from './steps.mjs'

const { types } = content

export async function pullManifests(send) {
  const pulled = {
    oci: content.ociManifest,
    schema2: content.schema2,
    index: content.ociIndex,
    list: content.list,
  }
  const accepts = {
    everything: Object.values(types).join(', '),
    'in lines': Object.values(types),
    'OCI manifests': types.manifest,
    'Docker manifests': types.schema2,
    'Docker lists': types.list,
    anything: '*/*',
    'with weights': `${types.manifest};q=0.5, ${types.list};q=0.1`,
  }
  for (const [tag, { digest }] of Object.entries(pulled)) {
    for (const [accepted, accept] of Object.entries(accepts)) {
      await send(`manifest: ${tag}, accepting ${accepted}`, {
        path: `/v2/team/app/manifests/${tag}`,
        headers: { accept },
      })
      await send(`manifest: ${tag} by digest, accepting ${accepted}`, {
        path: `/v2/team/app/manifests/${digest}`,
        headers: { accept },
      })
    }
    await send(`manifest: ${tag}, no Accept`, { path: `/v2/team/app/manifests/${tag}` })
    await send(`manifest: HEAD ${tag}`, {
      method: 'HEAD',
      path: `/v2/team/app/manifests/${tag}`,
      headers: { accept: accepts.everything },
    })
  }
  const { digest } = content.ociManifest
  for (const [name, headers] of Object.entries(conditions(digest)))
    await send(`manifest: ${name}`, {
      path: '/v2/team/app/manifests/oci',
      headers: { accept: accepts.everything, ...headers },
    })
  await send('manifest: of a range', {
    path: '/v2/team/app/manifests/oci',
    headers: { accept: accepts.everything, range: 'bytes=0-9' },
  })
  await send('manifest: of a list without amd64', {
    path: '/v2/team/app/manifests/armlist',
    headers: { accept: types.schema2 },
  })
  await send('manifest: as a blob', { path: `/v2/team/app/blobs/${digest}` })
  await send('manifest: layer as a manifest', { path: `/v2/team/app/manifests/${content.layer.digest}` })
  await send('manifest: no tag', { path: '/v2/team/app/manifests/nothing' })
  await send('manifest: a digest too short', { path: '/v2/team/app/manifests/sha256:12' })
  await send('manifest: a tag that is none', { path: '/v2/team/app/manifests/.x' })
  await send('referrers', { path: `/v2/team/app/referrers/${digest}` })
}

export async function lists(send) {
  const queries = [
    ...[
      '',
      '?n=',
      '?last=',
      '?n=&last=',
      '?n=2',
      '?n=2&last=b',
      '?n=1000',
      '?n=0',
      '?n=-1',
      '?n=x',
      '?n=1.5',
      '?n=999999',
    ],
    ...[
      '?last=zzz',
      '?last=b',
      '?last=nothing&n=3',
      '?n=5',
      '?n=12',
      '?n=13',
      '?last=%20',
      '?n=2&n=3',
      '?n=00002',
    ],
  ]
  for (const query of queries) {
    await send(`tags: ${query}`, { path: `/v2/team/app/tags/list${query}` })
    await send(`catalog: ${query}`, { path: `/v2/_catalog${query}` })
  }
  await send('tags: of a repository without manifests', { path: '/v2/other/app/tags/list' })
  await send('tags: with a slash at the end', { path: '/v2/team/app/tags/list/' })
  await send('catalog: with a slash at the end', { path: '/v2/_catalog/' })
}

export async function names(send) {
  const all = [
    'A',
    'a..b',
    'a___b',
    '-a',
    'a-',
    'a/_b',
    'a--b',
    'a__b',
    'a.b',
    'a/b/c/d/e',
    'a%2Fb',
    'EXAMPLE.com/a',
    'localhost:5000/a',
  ]
  for (const name of [...all, 'x'.repeat(256), 'a%00b', 'ä', 'a b', '.', 'a/'])
    await send(`name: ${name.slice(0, 30)}`, {
      path: encodeURI(`/v2/${name}/tags/list`).replaceAll('%25', '%'),
    })
}

export async function methods(send) {
  const paths = {
    base: '/v2/',
    catalog: '/v2/_catalog',
    tags: '/v2/team/app/tags/list',
    manifest: '/v2/team/app/manifests/oci',
    blob: `/v2/team/app/blobs/${content.layer.digest}`,
    uploads: '/v2/team/app/blobs/uploads/',
    upload: '/v2/team/app/blobs/uploads/0197a1b2-0000-7000-8000-000000000000',
    root: '/',
  }
  for (const [name, path] of Object.entries(paths)) {
    for (const method of ['HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'TRACE', 'PROPFIND']) {
      const isUseful = ['POST', 'PUT', 'PATCH'].includes(method) && ['uploads', 'manifest'].includes(name)
      if (!isUseful) await send(`method: ${method} ${name}`, { method, path })
    }
  }
  for (const name of ['base', 'catalog', 'tags', 'uploads', 'root'])
    await send(`method: DELETE ${name}`, { method: 'DELETE', path: paths[name] })
}

export async function deletions(send) {
  const remove = (name, path) => send(`delete: ${name}`, { method: 'DELETE', path: `/v2/team/app/${path}` })
  await remove('a blob', `blobs/${content.other.digest}`)
  await remove('a blob again', `blobs/${content.other.digest}`)
  await send('delete: the blob is gone', { path: `/v2/team/app/blobs/${content.other.digest}` })
  await remove('a blob that never was', `blobs/${content.absent}`)
  await remove('a blob by a digest that is none', 'blobs/sha256:12')
  await remove('a tag', 'manifests/e')
  await remove('a tag again', 'manifests/e')
  await remove('a tag that never was', 'manifests/nothing')
  await remove('a manifest', `manifests/${content.bareManifest.digest}`)
  await remove('a manifest again', `manifests/${content.bareManifest.digest}`)
  await send('delete: its tag is gone', { path: '/v2/team/app/manifests/bare' })
  await remove('a manifest with many tags', `manifests/${content.schema2.digest}`)
  await send('delete: tags that are left', { path: '/v2/team/app/tags/list' })
  await remove('a manifest that never was', `manifests/${content.absent}`)
  await pushBlob(send, 'delete: push the blob again', 'team/app', content.other)
  await send('delete: the blob is back', {
    method: 'HEAD',
    path: `/v2/team/app/blobs/${content.other.digest}`,
  })
}
