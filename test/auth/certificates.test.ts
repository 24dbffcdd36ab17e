// Clients that are known by their certificate.
import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { DeniedError, UnauthorizedError, type Access } from '../../lib/auth/access-controller.ts'
import { createAccessController } from '../../lib/auth/schemes.ts'
import { systemClock } from '../../lib/clock.ts'
import type { AccessRuleConfig, AuthConfig } from '../../lib/config/auth.ts'
import { verifiedName } from '../../lib/http/client-certificate.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { basic, htpasswdLine } from '../support/auth-server.ts'
import { makeCertificates } from '../support/certificates.ts'

const rules: readonly AccessRuleConfig[] = [
  { principals: ['cert:ci-*'], repositories: ['builds/*'], actions: ['pull', 'push'] },
  { principals: ['*'], repositories: ['*'], actions: ['pull'] },
]
const to = (name: string, action: Access['action']): Access => ({ type: 'repository', name, action })

async function open(auth: AuthConfig | undefined, access: readonly AccessRuleConfig[] | undefined) {
  const logger = createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} })
  const { controller, close } = await createAccessController(auth, access, {
    clock: systemClock,
    logger,
    metrics: createMetrics(),
  })
  const ask = (certificate: string | undefined, wanted: readonly Access[], authorization?: string) =>
    controller.authorize({ authorization, host: undefined, certificate }, wanted)
  return { ask, close }
}

t.test('with passwords a certificate that rules name does instead of one', async t => {
  const path = `${t.testdir({ htpasswd: await htpasswdLine('alice', 'wonder') })}/htpasswd`
  const { ask, close } = await open({ scheme: 'htpasswd', realm: 'R', path }, rules)
  t.teardown(close)

  t.equal((await ask('ci-1', [])).principal, 'ci-1')
  t.equal((await ask('ci-1', [to('builds/a', 'push')])).principal, 'ci-1')
  await t.rejects(ask('ci-1', [to('team/a', 'pull')]), UnauthorizedError, 'a password might help')
  await t.rejects(ask('laptop', []), UnauthorizedError, 'a certificate that no rule is for')
  await t.rejects(ask('laptop', [to('builds/a', 'pull')]), UnauthorizedError)
  const alice = basic('alice', 'wonder')
  t.equal((await ask('ci-1', [to('builds/a', 'push'), to('team/a', 'pull')], alice)).principal, 'alice')
  await t.rejects(ask('laptop', [to('builds/a', 'push')], alice), DeniedError)
  await t.rejects(ask('ci-1', [], basic('alice', 'wrong')), UnauthorizedError)
})

t.test('without rules a certificate is nobody', async t => {
  const path = `${t.testdir({ htpasswd: await htpasswdLine('alice', 'wonder') })}/htpasswd`
  const { ask, close } = await open({ scheme: 'htpasswd', realm: 'R', path }, undefined)
  t.teardown(close)

  await t.rejects(ask('ci-1', []), UnauthorizedError)
})

t.test('without a scheme certificates are all there is, and who has none is denied', async t => {
  const { ask } = await open(undefined, rules)

  t.equal((await ask('ci-1', [to('builds/a', 'push')])).principal, 'ci-1')
  t.equal((await ask(undefined, [])).principal, undefined)
  await t.rejects(ask(undefined, [to('builds/a', 'pull')]), DeniedError)
  await t.rejects(ask('ci-1', [to('team/a', 'pull')], basic('alice', 'wonder')), DeniedError)
})

t.test('without a scheme and rules everything is allowed', async t => {
  const { ask } = await open(undefined, undefined)

  t.equal((await ask(undefined, [to('a', 'delete')])).principal, undefined)
})

t.test('verifiedName() is the common name of a certificate that the listener trusts', async t => {
  const ours = makeCertificates(t, ['127.0.0.1'])
  const theirs = makeCertificates(t, ['127.0.0.1'])
  if (ours === undefined || theirs === undefined) return void t.comment('no openssl')
  const server = https.createServer(
    { ...ours.server, ca: ours.ca, requestCert: true, rejectUnauthorized: false },
    (req, res) => res.end(verifiedName(req.socket) ?? 'nobody'),
  )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const nameOf = async (options: https.RequestOptions) => {
    const request = https.get({ host: '127.0.0.1', port, ca: ours.ca, agent: false, ...options })
    const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream]
    return await text(response)
  }

  t.equal(await nameOf(ours.client), 'entrepot')
  t.equal(await nameOf({}), 'nobody')
  t.equal(await nameOf(theirs.client), 'nobody', 'signed by somebody else')
})
