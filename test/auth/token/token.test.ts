// The scheme token: which tokens are believed, what they let their bearer do, and what clients are told.
import fs from 'node:fs'
import { exportJWK } from 'jose'
import t from 'tap'
import { UnauthorizedError } from '../../../lib/auth/access-controller.ts'
import type { AccessRuleConfig } from '../../../lib/config/auth.ts'
import { startAuthServer } from '../../support/auth-server.ts'
import {
  authority,
  brief,
  challenge,
  claims,
  config,
  dir,
  fingerprint,
  good,
  issued,
  jwks,
  now,
  open,
  rsa,
  secret,
  sign,
  to,
  x5cOf,
} from '../../support/tokens.ts'

t.test('tokens of trusted keys are believed', async t => {
  const { ask } = await open()
  const { calculateJwkThumbprint } = await import('jose')
  const thumbprint = await calculateJwkThumbprint(await exportJWK(rsa.certificate.publicKey))

  t.equal(await ask(await good()), 'alice', 'key of the JWKS')
  t.equal(await ask(await sign(claims, { alg: 'RS256', kid: thumbprint }, rsa.key)), 'alice', 'thumbprint')
  t.equal(
    await ask(await sign(claims, { alg: 'PS512', kid: fingerprint(rsa) }, rsa.key)),
    'alice',
    'old key id',
  )
  t.equal(await ask(await sign(claims, { alg: 'ES256', x5c: x5cOf(issued) }, issued.key)), 'alice', 'issued')
  t.equal(
    await ask(await sign(claims, { alg: 'ES256', x5c: x5cOf(authority) }, authority.key)),
    'alice',
    'root itself',
  )
  t.equal(await ask(await sign(claims, { alg: 'HS256', kid: 'shared' }, secret)), 'alice', 'shared secret')
  const jwk = { ...(await exportJWK(rsa.certificate.publicKey)), kid: fingerprint(rsa) }
  t.equal(await ask(await sign(claims, { alg: 'RS256', jwk }, rsa.key)), 'alice', 'embedded, known')
  t.equal(await ask(await good({ ...claims, aud: ['else', 'registry.example'], sub: undefined })), 'nobody')
})

t.test('tokens of the issuer that do not count, or no longer, are invalid', async t => {
  const { ask } = await open()
  const wrong: Readonly<Record<string, object>> = {
    expired: { ...claims, exp: now - 61 },
    'no expiry': { ...claims, exp: undefined },
    'expiry that is no number': { ...claims, exp: '9999999999' },
    'not yet valid': { ...claims, nbf: now + 61 },
    'another audience': { ...claims, aud: 'other.example' },
    'a list of other audiences': { ...claims, aud: ['a', 'b'] },
    'no audience': { ...claims, aud: undefined },
    'another issuer': { ...claims, iss: 'else' },
    'malformed access': { ...claims, access: 'all' },
  }
  for (const [what, payload] of Object.entries(wrong))
    t.equal(await ask(await good(payload)), `${challenge},error="invalid_token"`, what)
  t.equal(await ask(await good({ ...claims, exp: now - 59, nbf: now + 59 })), 'alice', 'within a minute')
})

t.test('what a token lets its bearer do', async t => {
  const { ask } = await open()
  const token = await good()
  const insufficient = (scope: string) => `${challenge},scope="${scope}",error="insufficient_scope"`

  t.equal(await ask(token, to('team/app', 'pull', 'push')), 'alice')
  t.equal(await ask(token, to('all', 'delete')), 'alice')
  t.equal(await ask(token, to('team/app', 'delete')), insufficient('repository:team/app:delete'))
  t.equal(await ask(token, to('team/other', 'pull')), insufficient('repository:team/other:pull'))
  t.equal(
    await ask(token, [...to('team/app', 'pull', 'push'), ...to('bar/b', 'pull')]),
    insufficient('repository:team/app:pull,push repository:bar/b:pull'),
  )
  t.equal(
    await ask(token, [{ type: 'registry', name: 'catalog', action: '*' }]),
    insufficient('registry:catalog:*'),
  )
  t.equal(await ask(token, to('library/nginx', 'pull')), insufficient('repository:library/nginx:pull'))
  t.equal(
    await ask(token, [{ type: 'repository', name: 'library/nginx', action: 'pull', alias: 'nginx' }]),
    'alice',
  )
})

t.test('without a token the challenge has the scope and no error', async t => {
  const { ask, controller } = await open()
  const wanted = to('foo', 'pull', 'push')

  t.equal(await ask(undefined), challenge)
  t.equal(await ask(undefined, wanted), `${challenge},scope="repository:foo:pull,push"`)
  t.equal(await ask('', wanted), `${challenge},scope="repository:foo:pull,push"`)
  await t.rejects(
    controller.authorize({ authorization: 'Basic YTpi', host: undefined }, []),
    UnauthorizedError,
  )
})

t.test('signing algorithms that are not configured are refused', async t => {
  const { ask } = await open({ more: { signingalgorithms: ['RS256'] } })

  t.equal(await ask(await good()), challenge)
  t.equal(await ask(await sign(claims, { alg: 'PS256', kid: fingerprint(rsa) }, rsa.key)), challenge)
  t.equal(await ask(await sign(claims, { alg: 'RS256', kid: fingerprint(rsa) }, rsa.key)), 'alice')
})

t.test('autoredirect names the place where the client was', async t => {
  const { ask } = await open({ more: { autoredirect: true } })
  const realm = (url: string) => `Bearer realm="${url}",service="registry.example"`

  t.equal(await ask(undefined, [], { host: 'a.example:5000' }), realm('https://a.example:5000/auth/token'))
  t.equal(
    await ask(undefined, [], { host: 'a.example', forwardedProto: 'http' }),
    realm('http://a.example/auth/token'),
  )
  t.equal(await ask(undefined, [], { host: 'a.example/", x="' }), challenge)
})

t.test('certificates count only while they are valid', async t => {
  const { ask, clock } = await open()
  const payload = { ...claims, exp: now + 365 * 24 * 3600 }
  const token = await sign(payload, { alg: 'ES256', x5c: x5cOf(brief) }, brief.key)
  t.equal(await ask(token), 'alice')

  clock.advance(2 * 24 * 3600 * 1000)
  t.equal(await ask(token), challenge)
})

t.test('keys change with their file', async t => {
  const path = t.testdir({ 'jwks.json': JSON.stringify({ keys: jwks.keys.slice(1) }) })
  const { ask, clock } = await open({ more: { jwks: `${path}/jwks.json` } })
  t.equal(await ask(await good()), challenge)

  fs.writeFileSync(`${path}/jwks.json`, JSON.stringify(jwks))
  clock.advance(1000)
  t.equal(await ask(await good()), 'alice')
  fs.writeFileSync(`${path}/jwks.json`, '{')
  clock.advance(1000)
  t.equal(await ask(await good()), 'alice', 'the last good content goes on')
})

t.test('files without a key do not start', async t => {
  const path = t.testdir({ 'empty.pem': 'nothing', 'empty.json': '{"keys": []}' })

  await t.rejects(open({ more: { rootcertbundle: `${path}/empty.pem` } }), /no certificate/)
  await t.rejects(open({ more: { jwks: `${path}/empty.json` } }), /no key/)
  await t.rejects(open({ more: { jwks: `${path}/missing` } }), /ENOENT/)
})

t.test('a shared secret that is none does not start, and no message tells one', async t => {
  const k = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ'
  const path = t.testdir({
    'empty.json': '{"keys": [{"kty": "oct", "kid": "x", "k": ""}]}',
    'none.json': '{"keys": [{"kty": "oct", "kid": "x"}]}',
    'broken.json': `{"keys": [{"kty": "oct", "k": '${k}'}]}`,
    'no-key.json': '{"keys": [null]}',
  })

  await t.rejects(open({ more: { jwks: `${path}/empty.json` } }), /Cannot read jwks: key 1/)
  await t.rejects(open({ more: { jwks: `${path}/none.json` } }), /Cannot read jwks: key 1/)
  await t.rejects(open({ more: { jwks: `${path}/no-key.json` } }), /Cannot read jwks: key 1/)
  const err: unknown = await open({ more: { jwks: `${path}/broken.json` } }).catch((err: unknown) => err)
  t.match(String(err), /Cannot read jwks: it is no JSON/)
  t.notMatch(String(err), 'c2V')
})

t.test('with rules a token must be allowed by both, and anonymous pulls need none', async t => {
  const rules: readonly AccessRuleConfig[] = [
    { principals: ['alice'], repositories: ['team/*'], actions: ['pull'] },
    { principals: ['anonymous'], repositories: ['public'], actions: ['pull'] },
  ]
  const { ask } = await open({ rules })

  t.equal(await ask(await good(), to('team/app', 'pull')), 'alice')
  t.match(await ask(await good(), to('team/app', 'push')), /insufficient_scope/)
  t.match(await ask(await good(), to('all', 'pull')), /insufficient_scope/)
  t.equal(await ask(undefined, to('public', 'pull')), 'nobody')
  t.equal(await ask(undefined), challenge)
})

t.test('over HTTP insufficient scope is 401 with the wanted access in the detail', async t => {
  const auth = `auth: {token: {realm: "${config.realm}", service: registry.example, issuer: issuer, jwks: "${dir}/jwks.json"}}`
  const { ask } = await startAuthServer(t, { more: auth })
  const token = `Bearer ${await good()}`

  t.equal((await ask('/v2/', token)).status, 200)
  const res = await ask('/v2/else/blobs/uploads/', token, { method: 'POST' })
  t.equal(res.status, 401)
  t.equal(
    res.headers.get('www-authenticate'),
    `${challenge},scope="repository:else:pull,push",error="insufficient_scope"`,
  )
  t.match(await res.json(), {
    errors: [{ code: 'UNAUTHORIZED', detail: [{ Name: 'else', Action: 'pull' }, { Action: 'push' }] }],
  })
  const mount = await ask('/v2/a/blobs/uploads/?mount=x&from=b', undefined, { method: 'POST' })
  t.equal(
    mount.headers.get('www-authenticate'),
    `${challenge},scope="repository:a:pull,push repository:b:pull"`,
  )
})

t.test('silly lets in whoever says anything', async t => {
  const { ask } = await startAuthServer(t, { more: 'auth: {silly: {realm: R, service: S}}' })

  const res = await ask('/v2/foo/blobs/uploads/', undefined, { method: 'POST' })
  t.equal(res.status, 401)
  t.equal(
    res.headers.get('www-authenticate'),
    'Bearer realm="R",service="S",scope="repository:foo:pull repository:foo:push"',
  )
  t.equal((await ask('/v2/foo/blobs/uploads/', 'x', { method: 'POST' })).status, 202)
})
