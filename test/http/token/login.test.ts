// Tokens by GET: the way of docker, and what the registry then lets their holders do.
import { decodeJwt, decodeProtectedHeader } from 'jose'
import t from 'tap'
import { basic } from '../../support/auth-server.ts'
import { codesOf, pushImage } from '../../support/http-client.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { alice, answerOf, startTokenServer } from './token-server.ts'

t.test('GET /v2/ sends clients to the token service of the same origin', async t => {
  const { ask, url } = await startTokenServer(t)

  const res = await ask('/v2/')
  const pull = await ask('/v2/team/app/tags/list')

  t.equal(res.status, 401)
  t.equal(res.headers.get('www-authenticate'), `Bearer realm="${url}/auth/token",service="entrepot"`)
  t.equal(
    pull.headers.get('www-authenticate'),
    `Bearer realm="${url}/auth/token",service="entrepot",scope="repository:team/app:pull"`,
  )
})

t.test(
  'the realm is the configured one, else that of http.host, else what a proxy says of its scheme',
  async t => {
    const configured = await startTokenServer(t, { more: ', realm: "https://login.test/t"' })
    const ofHost = await startTokenServer(t, { http: ', host: "https://r.test/base"' })
    const plain = await startTokenServer(t)
    const challengeOf = async (server: typeof plain, headers: Record<string, string> = {}) =>
      (await server.ask('/v2/', undefined, { headers })).headers.get('www-authenticate')

    t.match(await challengeOf(configured), 'realm="https://login.test/t"')
    t.match(await challengeOf(ofHost), 'realm="https://r.test/auth/token"')
    t.match(await challengeOf(plain, { 'X-Forwarded-Proto': 'https' }), 'realm="https://127.0.0.1:')
    t.match(await challengeOf(plain, { 'X-Forwarded-Proto': 'ftp' }), 'realm="http://127.0.0.1:')
  },
)

t.test('docker login: a name and a password become a token without scope and a refresh token', async t => {
  const clock = new ManualClock()
  const { ask, get, metric } = await startTokenServer(t, { clock })

  const res = await get('?account=alice&client_id=docker&offline_token=true&service=entrepot', alice)
  const answer = await answerOf(res.clone())

  t.equal(res.headers.get('cache-control'), 'no-store')
  t.equal(answer.token, answer.access_token)
  t.equal(answer.expires_in, 300)
  t.equal(answer.issued_at, new Date(clock.now()).toISOString())
  t.type(answer.refresh_token, 'string')
  t.match(decodeProtectedHeader(answer.token), { alg: 'ES256', typ: 'JWT', kid: /^[\w-]{43}$/ })
  const seconds = clock.now() / 1000
  t.match(decodeJwt(answer.token), {
    iss: 'entrepot',
    sub: 'alice',
    aud: 'entrepot',
    iat: seconds,
    nbf: seconds - 30,
    exp: seconds + 300,
    jti: String,
    access: [],
  })
  t.equal((await ask('/v2/', `Bearer ${answer.token}`)).status, 200)
  t.equal(await metric('entrepot_tokens_issued_total{grant="basic"}'), 1)
})

t.test('a token without offline_token=true comes without a refresh token', async t => {
  const { get } = await startTokenServer(t)

  t.notOk('refresh_token' in (await answerOf(await get('', alice))))
})

t.test('wrong credentials are refused with a challenge for right ones', async t => {
  const { get } = await startTokenServer(t)

  for (const wrong of [basic('alice', 'wrong'), basic('nobody', 'x'), 'Basic !', 'Bearer x']) {
    const res = await get('?scope=repository:public/app:pull', wrong)
    t.equal(res.status, 401, wrong)
    t.equal(res.headers.get('www-authenticate'), 'Basic realm="entrepot"')
    t.equal(res.headers.get('cache-control'), 'no-store')
    t.same(await codesOf(res), ['UNAUTHORIZED'])
  }
})

t.test('guesses at the token service are counted as those at the registry are', async t => {
  const { get, post } = await startTokenServer(t, { clock: new ManualClock() })

  let res = await get('', basic('alice', 'guess 0'))
  for (let guess = 1; guess < 50 && res.status === 401; guess++)
    res = await get('', basic('alice', `guess ${guess}`))
  const posted = await post({ grant_type: 'password', username: 'alice', password: 'guess' })

  t.equal(res.status, 429)
  t.equal(posted.status, 429)
  t.match(posted.headers.get('retry-after'), /^[1-9]\d*$/)
  t.match(await posted.json(), { error: 'slow_down' })
})

t.test('a token grants what is asked for and allowed, and nothing else', async t => {
  const { get } = await startTokenServer(t)
  const bob = basic('bob', 'builder')
  const scopes = [
    'repository:team/app:pull,push',
    'repository:team/app:delete',
    'repository(plugin):team/tool:*,fly',
    'repository:other/app:pull',
    'repository:Bad//Name:pull',
    'registry:catalog:*',
    'nonsense',
  ]
  const query = `?${scopes.map(scope => `scope=${encodeURIComponent(scope)}`).join('&')}`

  const ofAlice = await answerOf(await get(query, alice))
  const ofBob = await answerOf(await get(query, bob))

  t.same(decodeJwt(ofAlice.token)['access'], [
    { type: 'repository', name: 'team/app', actions: ['pull', 'push', 'delete'] },
    { type: 'repository', class: 'plugin', name: 'team/tool', actions: ['pull', 'push', 'delete'] },
    { type: 'registry', name: 'catalog', actions: ['*'] },
  ])
  t.same(decodeJwt(ofBob.token)['access'], [
    { type: 'repository', name: 'team/app', actions: ['pull'] },
    { type: 'repository', class: 'plugin', name: 'team/tool', actions: ['pull'] },
    { type: 'registry', name: 'catalog', actions: ['*'] },
  ])
  t.equal(ofBob.scope, 'repository:team/app:pull repository(plugin):team/tool:pull registry:catalog:*')
})

t.test('the registry holds a token to what it grants', async t => {
  const { ask, token, url } = await startTokenServer(t)
  const push = await token('?scope=repository:team/app:pull,push', alice)
  const pull = await token('?scope=repository:team/app:pull', basic('bob', 'builder'))
  const upload = '/v2/team/app/blobs/uploads/'

  t.equal((await ask(upload, `Bearer ${push}`, { method: 'POST' })).status, 202)
  t.equal((await ask('/v2/team/app/tags/list', `Bearer ${pull}`)).status, 404)
  const refused = await ask(upload, `Bearer ${pull}`, { method: 'POST' })

  t.equal(refused.status, 401)
  t.equal(
    refused.headers.get('www-authenticate'),
    `Bearer realm="${url}/auth/token",service="entrepot",scope="repository:team/app:pull,push",error="insufficient_scope"`,
  )
  t.equal((await ask('/v2/team/two/tags/list', `Bearer ${push}`)).status, 401)
})

t.test('clients without tokens may send name and password to the registry itself', async t => {
  const { ask } = await startTokenServer(t)

  t.equal((await ask('/v2/', alice)).status, 200)
  t.equal((await ask('/v2/team/app/blobs/uploads/', alice, { method: 'POST' })).status, 202)
  t.equal((await ask('/v2/other/app/blobs/uploads/', alice, { method: 'POST' })).status, 403)
  t.match((await ask('/v2/', basic('alice', 'no'))).headers.get('www-authenticate'), /^Bearer realm=/)
})

t.test('nobody in particular gets a token for what anonymous may do, and none for anything else', async t => {
  const { ask, get } = await startTokenServer(t)

  const answer = await answerOf(await get('?scope=repository:public/app:pull,push&offline_token=true'))
  const refused = await get('?scope=repository:team/app:pull')

  t.equal(decodeJwt(answer.token).sub, '')
  t.same(decodeJwt(answer.token)['access'], [{ type: 'repository', name: 'public/app', actions: ['pull'] }])
  t.notOk('refresh_token' in answer)
  t.equal((await ask('/v2/public/app/tags/list', `Bearer ${answer.token}`)).status, 404)
  t.equal(refused.status, 401)
  t.match(refused.headers.get('www-authenticate'), /^Basic /)
})

t.test('nobody in particular gets nothing where no rule is for them', async t => {
  const { get } = await startTokenServer(t, {
    access: 'access: [{principal: "*", repository: "*", actions: pull}]',
  })

  t.equal((await get('')).status, 401)
  t.equal((await get('?scope=repository:public/app:pull')).status, 401)
})

t.test('a mirror grants what a name by another way means under the name it is stored by', async t => {
  const access = `access: [{principal: alice, repository: library/*, actions: pull}], proxy: {upstreams: [{name: hub, url: "https://registry-1.docker.io", default: true}]}`
  const { token } = await startTokenServer(t, { access })

  const claims = decodeJwt(await token('?scope=repository:hub/nginx:pull', alice))

  t.same(claims['access'], [{ type: 'repository', name: 'library/nginx', actions: ['pull'] }])
})

t.test('a request for too much, or for another service, is refused', async t => {
  const { get } = await startTokenServer(t)
  const many = Array.from({ length: 65 }, (_, at) => `scope=repository:team/a${at}:pull`).join('&')

  t.equal((await get(`?${many}`, alice)).status, 400)
  t.equal((await get(`?scope=repository:${'a'.repeat(600)}:pull`, alice)).status, 400)
  t.equal((await get('?service=another', alice)).status, 400)
})

t.test('other methods are refused, and http.prefix does not apply to the path', async t => {
  const { ask, url } = await startTokenServer(t, { http: ', prefix: /some' })

  const head = await ask('/auth/token', alice, { method: 'HEAD' })
  const remove = await ask('/auth/token', alice, { method: 'DELETE' })

  t.equal(head.status, 405)
  t.equal(remove.status, 405)
  t.equal(remove.headers.get('allow'), 'GET, POST')
  t.equal((await ask('/auth/token', alice)).status, 200)
  t.match((await ask('/some/v2/')).headers.get('www-authenticate'), `realm="${url}/auth/token"`)
})

t.test('neither tokens nor passwords nor accounts get into the log', async t => {
  const { get, logLines, refreshToken, token } = await startTokenServer(t)
  const secrets = [await refreshToken('alice', 'wonder'), await token('?account=secretive', alice)]

  await get('?account=secretive&password=wonder', basic('alice', 'wrong'))

  const text = JSON.stringify(logLines)
  for (const secret of [...secrets, 'secretive', 'wonder']) t.notOk(text.includes(secret))
})

t.test('pushes and pulls go through with tokens', async t => {
  const { ask, token, url } = await startTokenServer(t, {
    access: 'access: [{principal: [alice, anonymous], repository: "*", actions: "*"}]',
  })
  await pushImage(url, 'team/app', '1.0')
  const bearer = `Bearer ${await token('?scope=repository:team/app:pull registry:catalog:*', alice)}`

  t.equal((await ask('/v2/team/app/manifests/1.0', bearer)).status, 200)
  t.same(await (await ask('/v2/_catalog', bearer)).json(), { repositories: ['team/app'] })
})

t.test('an empty name with an empty password is no login, but nobody in particular', async t => {
  const { get } = await startTokenServer(t)

  for (const nothing of [basic('', ''), '']) {
    const res = await get('?scope=repository:public/app:pull', nothing)
    t.equal((await answerOf(res)).scope, 'repository:public/app:pull')
  }
})
