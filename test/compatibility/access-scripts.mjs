// The recorded scripts of registries that ask who is there, that take no writes, and that are mounted below a prefix.
import { createPrivateKey, createSign, X509Certificate } from 'node:crypto'
import * as content from './content.mjs'
import { pushBlob } from './steps.mjs'

const { types } = content
const basic = (user, password) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

/** A request to each endpoint, with what names it. */
const requests = {
  base: { path: '/v2/' },
  root: { path: '/' },
  catalog: { path: '/v2/_catalog' },
  tags: { path: '/v2/team/app/tags/list' },
  manifest: { path: '/v2/team/app/manifests/latest' },
  'HEAD of a manifest': { method: 'HEAD', path: '/v2/team/app/manifests/latest' },
  'a manifest is put': { method: 'PUT', path: '/v2/team/app/manifests/latest', body: content.schema2.bytes },
  'a manifest is deleted': { method: 'DELETE', path: `/v2/team/app/manifests/${content.absent}` },
  blob: { path: `/v2/team/app/blobs/${content.absent}` },
  'a blob is deleted': { method: 'DELETE', path: `/v2/team/app/blobs/${content.absent}` },
  'an upload is started': { method: 'POST', path: '/v2/team/app/blobs/uploads/' },
  'a blob is mounted': {
    method: 'POST',
    path: `/v2/team/app/blobs/uploads/?mount=${content.absent}&from=other/app`,
  },
  'state of an upload': { path: '/v2/team/app/blobs/uploads/0197a1b2-0000-7000-8000-000000000000' },
  'a chunk': { method: 'PATCH', path: '/v2/team/app/blobs/uploads/0197a1b2-0000-7000-8000-000000000000' },
  'an unknown path': { path: '/v2/team/app' },
  'a wrong method': { method: 'POST', path: '/v2/_catalog' },
}

/** So few that nobody takes it for an attack. */
const some = ['base', 'tags', 'a manifest is put']

async function askAll(send, who, authorization, names = Object.keys(requests)) {
  for (const [name, request] of Object.entries(requests).filter(([name]) => names.includes(name)))
    await send(`${name}, ${who}`, {
      ...request,
      headers: {
        ...(authorization !== undefined && { authorization }),
        ...(request.method === 'PUT' && { 'content-type': types.schema2 }),
      },
    })
}

async function pushAndPull(send, who, authorization) {
  const headers = { authorization }
  for (const blob of ['layer', 'config'])
    await pushBlob(send, `${who} pushes ${blob}`, 'team/app', content[blob], headers)
  await send(`${who} pushes a manifest`, {
    method: 'PUT',
    path: '/v2/team/app/manifests/pushed',
    headers: { ...headers, 'content-type': types.schema2 },
    body: content.schema2.bytes,
  })
  await send(`${who} pulls a manifest`, {
    path: '/v2/team/app/manifests/pushed',
    headers: { ...headers, accept: types.schema2 },
  })
  await send(`${who} pulls a blob`, { path: `/v2/team/app/blobs/${content.layer.digest}`, headers })
  await send('a pull by nobody', {
    path: '/v2/team/app/manifests/pushed',
    headers: { accept: types.schema2 },
  })
}

/** bcrypt of `secret`, cost 4. */
export const htpasswd = 'alice:$2y$04$8SN0sfB.9ashUmAwW6eXue4oGLSHPcPVUItFvHjpN8M6d4jbMdfnK\n'

export async function runHtpasswd({ send }) {
  await askAll(send, 'without credentials')
  await askAll(send, 'with a wrong password', basic('alice', 'wrong'), some)
  await askAll(send, 'as an unknown user', basic('mallory', 'secret'), some)
  await askAll(send, 'with a bearer token', 'Bearer abc')
  await askAll(send, 'with a header that is broken', 'Basic !!!')
  await askAll(send, 'as alice', basic('alice', 'secret'))
  await pushAndPull(send, 'alice', basic('alice', 'secret'))
}

export async function runSilly({ send }) {
  await askAll(send, 'without credentials')
  await askAll(send, 'with anything', 'x')
}

/** Signs tokens as a token server does whose certificate the registry trusts. */
export function createSigner({ key, certificate }) {
  const privateKey = createPrivateKey(key)
  const x5c = [new X509Certificate(certificate).raw.toString('base64')]
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url')
  return (access, changes = {}, header = {}) => {
    const nowSeconds = Math.floor(Date.now() / 1000)
    const claims = {
      iss: 'golden-issuer',
      sub: 'alice',
      aud: 'golden-service',
      exp: nowSeconds + 600,
      nbf: nowSeconds - 60,
      iat: nowSeconds,
      jti: '1',
      access,
      ...changes,
    }
    const signed = `${part({ typ: 'JWT', alg: 'ES256', x5c, ...header })}.${part(claims)}`
    const signature = createSign('sha256').update(signed).sign({ key: privateKey, dsaEncoding: 'ieee-p1363' })
    return `Bearer ${signed}.${signature.toString('base64url')}`
  }
}

export const runToken = sign =>
  async function run({ send }) {
    const repository = (name, ...actions) => ({ type: 'repository', name, actions })
    const nowSeconds = Math.floor(Date.now() / 1000)
    await askAll(send, 'without a token')
    await askAll(send, 'with a password', basic('alice', 'secret'))
    await askAll(send, 'with a token that is none', 'Bearer abc')
    await askAll(send, 'with a token for nothing', sign([]))
    await askAll(send, 'with a token to pull', sign([repository('team/app', 'pull')]))
    await askAll(send, 'with a token for another repository', sign([repository('other/app', 'pull', 'push')]))
    await askAll(send, 'with a token for everything there', sign([repository('team/app', '*')]))
    await askAll(
      send,
      'with an expired token',
      sign([repository('team/app', '*')], { exp: nowSeconds - 600 }),
    )
    await askAll(
      send,
      'with a token of the future',
      sign([repository('team/app', '*')], { nbf: nowSeconds + 600 }),
    )
    await askAll(send, 'with another audience', sign([repository('team/app', '*')], { aud: 'another' }))
    await askAll(send, 'with another issuer', sign([repository('team/app', '*')], { iss: 'another' }))
    await askAll(
      send,
      'with several audiences',
      sign([repository('team/app', 'pull')], { aud: ['x', 'golden-service'] }),
    )
    await askAll(
      send,
      'with a token for the catalog',
      sign([{ type: 'registry', name: 'catalog', actions: ['*'] }]),
    )
    await askAll(send, 'without a signature', sign([repository('team/app', '*')]).replace(/[^.]*$/, ''))
    await askAll(send, 'with algorithm none', sign([repository('team/app', '*')], {}, { alg: 'none' }))
    await pushAndPull(send, 'alice', sign([repository('team/app', 'pull', 'push')]))
  }

export async function runReadOnly({ send }) {
  await askAll(send, 'read-only')
}

export async function runPrefixed({ send }) {
  const below = path => `/my/reg${path}`
  for (const path of ['/', '/v2/', '/my/reg/v2/', '/my/reg', '/my/reg/', '/my/reg/v2/_catalog'])
    await send(`GET ${path}`, { path })
  await send('an upload is started', { method: 'POST', path: below('/v2/team/app/blobs/uploads/') })
  await send('an upload is started behind a proxy', {
    method: 'POST',
    path: below('/v2/team/app/blobs/uploads/'),
    headers: { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'registry.example.com' },
  })
  await send('an upload is started behind another', {
    method: 'POST',
    path: below('/v2/team/app/blobs/uploads/'),
    headers: { forwarded: 'for=192.0.2.1;proto=https;host="registry.example.com:8443"' },
  })
}
