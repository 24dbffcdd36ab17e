// The scheme htpasswd over HTTP: who is let in, who is let do what, and what it costs.
import fs from 'node:fs'
import t, { type Test } from 'tap'
import { basic, htpasswdLine, startAuthServer } from '../../support/auth-server.ts'
import { codesOf, detailOf, sha256 } from '../../support/http-client.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { until } from '../../support/until.ts'

const lines = {
  alice: await htpasswdLine('alice', 'wonder'),
  bob: await htpasswdLine('bob', 'pässword: with colon'),
  carol: 'carol:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n',
}
const alice = basic('alice', 'wonder')
const bob = basic('bob', 'pässword: with colon')
const challenge = 'Basic realm="the \\"realm\\""'
const rules = `access: [
  {principal: "*", repository: "{user}/*", actions: "*"},
  {principal: alice, repository: team/*, actions: [pull, push]},
  {principal: anonymous, repository: public/*, actions: pull}]`

async function start(
  t: Test,
  { access = '', clock = new ManualClock(), content = undefined as string | undefined } = {},
) {
  const dir = t.testdir({ htpasswd: content ?? `# users\n\n${lines.alice}${lines.bob}${lines.carol}` })
  const path = `${dir}/htpasswd`
  const auth = `auth: {htpasswd: {realm: 'the "realm"', path: "${path}"}}`
  const server = await startAuthServer(t, { clock, more: `${auth}${access && `, ${access}`}` })
  return { ...server, path, clock }
}

t.test('GET /v2/ is challenged without credentials, and with wrong ones, and answers right ones', async t => {
  const { ask } = await start(t)

  const without = await ask('/v2/')
  t.equal(without.status, 401)
  t.equal(without.headers.get('www-authenticate'), challenge)
  t.equal(without.headers.get('docker-distribution-api-version'), 'registry/2.0')
  t.equal(await detailOf(without), null)
  for (const wrong of [
    basic('alice', 'wonder2'),
    basic('nobody', 'wonder'),
    basic('alice', ''),
    basic('', ''),
    basic('carol', 'secret'),
    basic('alice', 'wonder\0x'),
    basic('alice', 'x'.repeat(5000)),
    'Basic !!!',
    'Bearer abc',
  ]) {
    const res = await ask('/v2/', wrong)
    t.equal(res.status, 401, wrong.slice(0, 40))
    t.equal(res.headers.get('www-authenticate'), challenge)
    await res.arrayBuffer()
  }
  for (const right of [alice, alice.replace('Basic', 'basic'), bob]) {
    const res = await ask('/v2/', right)
    t.equal(res.status, 200)
    t.same(await res.json(), {})
  }
})

t.test('without rules every user may do everything', async t => {
  const { ask } = await start(t)

  const res = await ask(`/v2/any/thing/blobs/uploads/?digest=${sha256('x')}`, bob, {
    method: 'POST',
    body: 'x',
  })
  t.equal(res.status, 201)
  t.equal((await ask('/v2/any/thing/tags/list')).status, 401)
})

t.test('with rules a user who may not is denied, and whoever is nobody yet is challenged', async t => {
  const { ask } = await start(t, { access: rules })
  const upload = (name: string, who?: string) =>
    ask(`/v2/${name}/blobs/uploads/?digest=${sha256('x')}`, who, { method: 'POST', body: 'x' })

  t.equal((await upload('team/app', alice)).status, 201)
  t.equal((await upload('bob/app', bob)).status, 201)
  const denied = await upload('team/app', bob)
  t.equal(denied.status, 403)
  t.equal(denied.headers.get('www-authenticate'), null)
  t.same(await denied.json(), {
    errors: [
      {
        code: 'DENIED',
        message: 'requested access to the resource is denied',
        detail: [
          { Type: 'repository', Class: '', Name: 'team/app', Action: 'pull' },
          { Type: 'repository', Class: '', Name: 'team/app', Action: 'push' },
        ],
      },
    ],
  })
  t.equal((await upload('public/app')).status, 401, 'anonymous push')
  t.equal((await upload('public/app', bob)).status, 403)
  t.equal((await ask('/v2/team/app/blobs/' + sha256('x'))).status, 401)
})

t.test('anonymous pulls need no credentials, but wrong ones are refused, and /v2/ asks for some', async t => {
  const { ask } = await start(t, { access: rules })
  const path = `/v2/public/app/blobs/${sha256('none')}`

  t.same(await codesOf(await ask(path)), ['BLOB_UNKNOWN'])
  t.same(await codesOf(await ask(path, basic('', ''))), ['BLOB_UNKNOWN'], 'as podman has it')
  t.same(await codesOf(await ask(path, bob)), ['BLOB_UNKNOWN'])
  t.equal((await ask(path, basic('bob', 'wrong'))).status, 401)
  t.equal((await ask('/v2/')).status, 401)
  t.equal((await ask('/')).status, 200)
})

t.test('the catalog shows each client what it may pull, in full pages', async t => {
  const { ask } = await start(t, { access: rules })
  const names = ['alice/a', 'alice/b', 'bob/a', 'bob/b', 'bob/c']
  for (const name of names) {
    const who = name.startsWith('alice') ? alice : bob
    const manifest = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] }
    const res = await ask(`/v2/${name}/manifests/latest`, who, {
      method: 'PUT',
      body: JSON.stringify(manifest),
      headers: { 'Content-Type': manifest.mediaType },
    })
    t.equal(res.status, 201)
  }
  const list = async (query: string, who?: string) => {
    const res = await ask(`/v2/_catalog${query}`, who)
    const { repositories } = (await res.json()) as { repositories?: string[] }
    return { repositories, link: res.headers.get('link') }
  }

  t.same(await list('', alice), { repositories: ['alice/a', 'alice/b'], link: null })
  t.same(await list('?n=2', bob), {
    repositories: ['bob/a', 'bob/b'],
    link: '</v2/_catalog?last=bob%2Fb&n=2>; rel="next"',
  })
  t.same(await list('?n=2&last=bob/b', bob), { repositories: ['bob/c'], link: null })
  t.same(await list('?last=alice/a', bob), { repositories: ['bob/a', 'bob/b', 'bob/c'], link: null })
  t.same(await list(''), { repositories: [], link: null })
})

t.test('a blob is mounted only from where the client may pull', async t => {
  const { ask } = await start(t, { access: rules })
  const digest = sha256('layer')
  await ask(`/v2/bob/app/blobs/uploads/?digest=${digest}`, bob, { method: 'POST', body: 'layer' })
  const mount = (name: string, who: string) =>
    ask(`/v2/${name}/blobs/uploads/?mount=${digest}&from=bob/app`, who, { method: 'POST' })

  t.equal((await mount('bob/twin', bob)).status, 201)
  t.equal((await mount('alice/app', alice)).status, 202)
})

t.test('50 parallel requests with one password cost one comparison, and later ones none', async t => {
  const { ask, metric, clock } = await start(t)
  const comparisons = () => metric('entrepot_auth_password_comparisons_total')

  const burst = await Promise.all(Array.from({ length: 50 }, () => ask('/v2/', alice)))
  t.ok(burst.every(({ status }) => status === 200))
  t.equal(await comparisons(), 1)
  t.equal((await ask('/v2/', alice)).status, 200)
  t.equal(await comparisons(), 1)
  clock.advance(10 * 60_000)
  t.equal((await ask('/v2/', alice)).status, 200)
  t.equal(await comparisons(), 2)
})

t.test('a changed file counts: new users come in, removed and changed ones do not', async t => {
  const { ask, path, clock, logLines } = await start(t)
  t.equal((await ask('/v2/', alice)).status, 200)
  const dave = await htpasswdLine('dave', 'new')

  fs.writeFileSync(path, dave + (await htpasswdLine('bob', 'changed')))
  clock.advance(1000)
  t.equal((await ask('/v2/', basic('dave', 'new'))).status, 200)
  t.equal((await ask('/v2/', alice)).status, 401)
  t.equal((await ask('/v2/', bob)).status, 401)

  fs.writeFileSync(path, 'no colon here\n')
  clock.advance(1000)
  t.equal((await ask('/v2/', basic('dave', 'new'))).status, 200, 'the last good content goes on')
  const [error] = logLines.filter(({ level }) => level === 'error')
  t.match(JSON.stringify(error), /line 1 is not of the form name:hash/)

  fs.rmSync(path)
  for (let i = 0; i < 3; i++) {
    clock.advance(1000)
    t.equal((await ask('/v2/', basic('dave', 'new'))).status, 200)
  }
  t.equal(logLines.filter(({ level }) => level === 'error').length, 2, 'a missing file is told once')
  fs.writeFileSync(path, lines.alice)
  clock.advance(1000)
  t.equal((await ask('/v2/', alice)).status, 200)
})

t.test('the log names users whose hash is not bcrypt, and no password', async t => {
  const { ask, logLines } = await start(t)
  await ask('/v2/', basic('alice', 'guess-me-not'))

  t.ok(logLines.some(({ user, level }) => user === 'carol' && level === 'warning'))
  t.notMatch(JSON.stringify(logLines), /guess-me-not/)
})

t.test('guessing a password ends after ten tries a minute, without comparing', async t => {
  const { ask, metric, clock } = await start(t)
  t.equal((await ask('/v2/', bob)).status, 200)
  for (let i = 0; i < 10; i++) {
    t.equal((await ask('/v2/', basic('alice', `guess ${i}`))).status, 401)
    clock.advance(1000)
  }
  const before = await metric('entrepot_auth_password_comparisons_total')

  const res = await ask('/v2/', alice)
  t.equal(res.status, 429)
  t.equal(res.headers.get('retry-after'), '50')
  t.same(await codesOf(res), ['TOOMANYREQUESTS'])
  t.equal(await metric('entrepot_auth_password_comparisons_total'), before)
  t.equal(await metric('entrepot_auth_failures_total{reason="throttled"}'), 1)
  t.equal(await metric('entrepot_auth_failures_total{reason="password"}'), 10)
  t.equal((await ask('/v2/', bob)).status, 200, 'another user, remembered')
  clock.advance(50_000)
  t.equal((await ask('/v2/', alice)).status, 200)
})

t.test('many guesses at once are no way round it', async t => {
  const { ask } = await start(t)

  const burst = await Promise.all(
    Array.from({ length: 30 }, (_, i) => ask('/v2/', basic('alice', `guess ${i}`))),
  )
  t.equal(burst.filter(({ status }) => status === 401).length, 10)
  t.equal(burst.filter(({ status }) => status === 429).length, 20)
})

t.test(
  'an address that guesses for many users is slowed down as a whole, but not who is remembered',
  async t => {
    const { ask } = await start(t)
    t.equal((await ask('/v2/', alice)).status, 200)
    for (let i = 0; i < 30; i++) t.equal((await ask('/v2/', basic(`user${i}`, 'x'))).status, 401)

    t.equal((await ask('/v2/', bob)).status, 429)
    t.equal((await ask('/v2/', alice)).status, 200)
  },
)

t.test('neither do many guesses at once for many users keep everybody else waiting', async t => {
  const { ask } = await start(t)

  const burst = await Promise.all(
    Array.from({ length: 120 }, (_, i) => ask('/v2/', basic(`user${i}`, 'guess'))),
  )
  const refused = burst.filter(({ status }) => status === 429)
  // Some are found wrong before others come.
  t.ok(refused.length >= 120 - 30 - 32, `${refused.length} were not compared`)
  t.match(refused[0]?.headers.get('retry-after'), /^\d+$/)
})

t.test('who is remembered stays so by coming back, and others of the address cannot change that', async t => {
  const { ask, metric, clock } = await start(t)
  for (let i = 0; i < 4; i++) {
    t.equal((await ask('/v2/', alice)).status, 200)
    clock.advance(5 * 60_000)
  }
  t.equal(await metric('entrepot_auth_password_comparisons_total'), 1)
})

t.test('a missing file is made, for its owner alone, and the log tells the password', async t => {
  const dir = t.testdir({})
  const path = `${dir}/new/htpasswd`
  const more = `auth: {htpasswd: {realm: R, path: "${path}"}}`
  const { ask, logLines } = await startAuthServer(t, { more })

  t.equal(fs.statSync(`${dir}/new`).mode & 0o777, 0o700)
  t.equal(fs.statSync(path).mode & 0o777, 0o600)
  t.same(fs.readdirSync(`${dir}/new`), ['htpasswd'])
  t.match(fs.readFileSync(path, 'utf8'), /^docker:\$2[aby]\$10\$[^\n]{53}$/)
  await until(() => logLines.length > 0)
  const [line] = logLines.filter(({ msg }) => msg === 'htpasswd is missing, provisioning with default user')
  t.match(line, { level: 'warning', user: 'docker' })
  t.equal((await ask('/v2/', basic('docker', String(line?.['initial_password'])))).status, 200)
})

t.test('a file with a malformed line does not start', async t => {
  await t.rejects(start(t, { content: 'alice\n' }), /line 1 is not of the form name:hash/)
})
