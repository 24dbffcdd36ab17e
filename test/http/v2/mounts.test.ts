// Mounts where not everybody may read everything: a refusal must not tell what is there.
import t, { type Test } from 'tap'
import { UnauthorizedError, type AccessController } from '../../../lib/auth/access-controller.ts'
import { RegistryError } from '../../../lib/oci/errors.ts'
import { pushBlob, sha256, startApp } from '../../support/http-client.ts'

const digest = sha256('secret')

/** Everybody may do everything but read `private`; without credentials only what is `public` is open. */
function guarded(refuse: (challenge: string) => Error): AccessController {
  return {
    async authorize({ authorization }, wanted) {
      const challenge = wanted.map(({ name, action }) => `${name}:${action}`).join(' ')
      const isOpen = wanted.every(({ name }) => name === 'public')
      if (authorization === undefined && !isOpen) throw new UnauthorizedError(challenge, { wanted })
      if (wanted.some(({ name, action }) => name === 'private' && action === 'pull')) throw refuse(challenge)
      return { principal: 'somebody' }
    },
  }
}

/** Two applications over one store: the second one is guarded. */
async function start(t: Test, refuse: (challenge: string) => Error) {
  const open = await startApp(t)
  await pushBlob(open.url, 'private', 'secret')
  const { url } = await startApp(t, { driver: open.driver, access: guarded(refuse) })
  return (query: string, headers: Record<string, string> = { Authorization: 'Basic eDp5' }, name = 'foo') =>
    fetch(`${url}/v2/${name}/blobs/uploads/?${query}`, { method: 'POST', headers })
}

const refusals = {
  denied: () => new RegistryError('DENIED', 'no'),
  unauthorized: (challenge: string) => new UnauthorizedError(challenge, { wanted: [] }),
}

for (const [kind, refuse] of Object.entries(refusals)) {
  t.test(
    `POST ?mount= from what the client may not read is an upload, whatever is there (${kind})`,
    async t => {
      const post = await start(t, refuse)

      const [there, absent] = [
        await post(`mount=${digest}&from=private`),
        await post(`mount=${sha256('absent')}&from=private`),
      ]

      for (const res of [there, absent]) {
        t.equal(res.status, 202)
        t.equal(res.headers.get('docker-content-digest'), null)
        t.equal(res.headers.get('www-authenticate'), null)
      }
      t.same([...there.headers.keys()], [...absent.headers.keys()])
    },
  )
}

t.test('POST ?mount= without any credentials asks for those that suffice for both', async t => {
  const post = await start(t, refusals.denied)

  const res = await post(`mount=${digest}&from=private`, {})

  t.equal(res.status, 401)
  t.equal(res.headers.get('www-authenticate'), 'foo:pull foo:push private:pull')
})

t.test(
  'POST ?mount= without any credentials is an upload where everybody may push, whatever is there',
  async t => {
    const post = await start(t, refusals.denied)

    const [there, absent] = [
      await post(`mount=${digest}&from=private`, {}, 'public'),
      await post(`mount=${sha256('absent')}&from=private`, {}, 'public'),
    ]

    for (const res of [there, absent]) {
      t.equal(res.status, 202)
      t.equal(res.headers.get('www-authenticate'), null)
    }
  },
)

t.test('POST ?mount= takes a blob from where the client may read it', async t => {
  const open = await startApp(t)
  await pushBlob(open.url, 'public', 'secret')
  const { url } = await startApp(t, { driver: open.driver, access: guarded(refusals.denied) })

  const res = await fetch(`${url}/v2/foo/blobs/uploads/?mount=${digest}&from=public`, {
    method: 'POST',
    headers: { Authorization: 'Basic eDp5' },
  })

  t.equal(res.status, 201)
})

t.test('POST ?mount= without from finds what this repository has, and nothing else', async t => {
  const { url } = await startApp(t)
  await pushBlob(url, 'foo', 'here')
  await pushBlob(url, 'other', 'elsewhere')
  const mount = (content: string) =>
    fetch(`${url}/v2/foo/blobs/uploads/?mount=${sha256(content)}`, { method: 'POST' })

  const here = await mount('here')
  t.equal(here.status, 201)
  t.equal(here.headers.get('docker-content-digest'), sha256('here'))
  t.equal((await mount('elsewhere')).status, 202)
  t.equal((await mount('nowhere')).status, 202)
})
