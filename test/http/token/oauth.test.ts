// Tokens by POST: OAuth2 with passwords and refresh tokens, and the walls between the kinds of tokens.
import { writeFileSync } from 'node:fs'
import { decodeJwt } from 'jose'
import t from 'tap'
import { htpasswdLine } from '../../support/auth-server.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { answerOf, minute, startTokenServer } from './token-server.ts'

const scope = 'repository:team/app:pull,push repository:team/two:pull'

t.test('a password is good for an access token, and for a refresh token if one is wanted', async t => {
  const { post, metric } = await startTokenServer(t)
  const form = { grant_type: 'password', service: 'entrepot', client_id: 'test', scope }

  const res = await post({ ...form, username: 'alice', password: 'wonder', access_type: 'offline' })
  const answer = await answerOf(res.clone())
  const online = await answerOf(await post({ ...form, username: 'bob', password: 'builder' }))

  t.equal(res.headers.get('cache-control'), 'no-store')
  t.match(answer, { access_token: String, refresh_token: String, expires_in: 300, issued_at: String, scope })
  t.equal(online.scope, 'repository:team/app:pull repository:team/two:pull')
  t.notOk('refresh_token' in online)
  t.equal(await metric('entrepot_tokens_issued_total{grant="password"}'), 2)
})

t.test('a refresh token is good for access tokens of its user, until it expires', async t => {
  const clock = new ManualClock()
  const { ask, post, refreshToken } = await startTokenServer(t, { clock, more: ', refreshexpiry: 1h' })
  const refresh = await refreshToken('bob', 'builder')
  const form = { grant_type: 'refresh_token', refresh_token: refresh, scope }

  const answer = await answerOf(await post(form))
  clock.advance(59 * minute)
  const later = await post(form)
  clock.advance(3 * minute)
  const tooLate = await post(form)

  t.equal(answer.refresh_token, refresh)
  t.equal(decodeJwt(answer.access_token).sub, 'bob')
  t.equal(answer.scope, 'repository:team/app:pull repository:team/two:pull')
  t.equal((await ask('/v2/', `Bearer ${answer.access_token}`)).status, 401, 'the first token has expired')
  t.equal(later.status, 200)
  t.equal(tooLate.status, 400)
  t.match(await tooLate.json(), { error: 'invalid_grant', error_description: String })
})

t.test('a changed password, or a user who is gone, revokes refresh tokens', async t => {
  const clock = new ManualClock()
  const { dir, post, refreshToken, users } = await startTokenServer(t, { clock })
  const form = { grant_type: 'refresh_token', refresh_token: await refreshToken('alice', 'wonder') }
  const [, bob = ''] = users.split('\n')
  const statuses: number[] = []
  async function withUsers(text: string) {
    writeFileSync(`${dir}/htpasswd`, text)
    clock.advance(2000)
    statuses.push((await post(form)).status)
  }

  await withUsers(`${await htpasswdLine('alice', 'another')}${bob}\n`)
  await withUsers(`${bob}\n`)
  await withUsers(users)

  t.same(statuses, [400, 400, 200])
})

t.test('neither kind of token is ever taken for the other', async t => {
  const { ask, post, refreshToken, token } = await startTokenServer(t)
  const refresh = await refreshToken('alice', 'wonder')
  const access = await token('?scope=repository:team/app:pull', `Basic ${btoa('alice:wonder')}`)

  const asAccess = await ask('/v2/', `Bearer ${refresh}`)
  const asRefresh = await post({ grant_type: 'refresh_token', refresh_token: access })

  t.equal(asAccess.status, 401)
  t.match(asAccess.headers.get('www-authenticate'), 'error="invalid_token"')
  t.equal(asRefresh.status, 400)
  t.match(await asRefresh.json(), { error: 'invalid_grant' })
})

t.test('what is no proper request is refused in the form of OAuth2', async t => {
  const { post } = await startTokenServer(t)
  const password = { grant_type: 'password', username: 'alice', password: 'wonder' }
  const cases: readonly (readonly [object: Record<string, string>, error: string])[] = [
    [{}, 'invalid_request'],
    [{ grant_type: 'client_credentials' }, 'unsupported_grant_type'],
    [{ grant_type: 'password', username: 'alice' }, 'invalid_request'],
    [{ ...password, password: 'wrong' }, 'invalid_grant'],
    [{ ...password, service: 'another' }, 'invalid_request'],
    [{ ...password, scope: 'repository:team/app:pull '.repeat(65) }, 'invalid_scope'],
    [{ grant_type: 'refresh_token' }, 'invalid_request'],
    [{ grant_type: 'refresh_token', refresh_token: 'a.b.c' }, 'invalid_grant'],
  ]

  for (const [form, error] of cases) {
    const res = await post(form)
    t.equal(res.status, 400, JSON.stringify(form).slice(0, 100))
    t.equal(res.headers.get('cache-control'), 'no-store')
    t.match(await res.json(), { error, error_description: String })
  }
})

t.test('a body of another type, too long, or with a parameter twice is refused', async t => {
  const { post } = await startTokenServer(t)
  const json = { body: '{}', headers: { 'Content-Type': 'application/json' } }
  const twice = new URLSearchParams([
    ['grant_type', 'password'],
    ['grant_type', 'refresh_token'],
  ])

  t.equal((await post({}, json)).status, 400)
  t.equal((await post({ filler: 'x'.repeat(17 * 1024) })).status, 413)
  t.match(await (await post({}, { body: twice })).json(), { error: 'invalid_request' })
})
