// Certificates on demand, short of the authority: what is used, when it is renewed, and who sees a challenge.
import fs from 'node:fs'
import { once } from 'node:events'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { listen } from '../../lib/listener.ts'
import { createLogger } from '../../lib/log.ts'
import { openCertificateCache } from '../../lib/tls/acme/certificate-cache.ts'
import { isDue, keepFresh, retryAfter } from '../../lib/tls/acme/renewal.ts'
import { makeCertificates } from '../support/certificates.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'

const silent = createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} })
const day = 24 * 60 * 60 * 1000
const made = makeCertificates(t, ['registry.example'])
const challenge = makeCertificates(t, ['challenge.example'])
const pem = `${made?.server.key ?? ''}${made?.server.cert ?? ''}`
if (made === undefined) t.comment('no openssl to make certificates with')
else run()

function run(): void {
  t.test('keepFresh() obtains, keeps, and goes on trying after failures', async t => {
    const cache = openCertificateCache(`${t.testdir({})}/acme`)
    const clock = new ManualClock(Date.now())
    const stop = new AbortController()
    t.teardown(() => stop.abort())
    const used: number[] = []
    let asked = 0
    const obtain = () => (++asked < 3 ? Promise.reject(new Error('refused')) : Promise.resolve(pem))
    const use = (_pem: string, expiresAtMs: number) => void used.push(expiresAtMs)

    const kept = keepFresh('registry.example', use, {
      cache,
      obtain,
      clock,
      logger: silent,
      signal: stop.signal,
    })
    await until(() => clock.sleeping === 1)
    t.equal(asked, 1)
    clock.advance(60_000)
    await until(() => asked === 2 && clock.sleeping === 1)
    clock.advance(120_000)
    await until(() => used.length === 1 && clock.sleeping === 1)

    t.equal(await cache.read('registry.example'), pem)
    stop.abort()
    await kept
  })

  t.test('isDue() when the last third has begun, and for what cannot be used', async t => {
    const now = Date.now() // The certificate is good for two days.

    t.equal(isDue(undefined, now), true)
    t.equal(isDue('x', now), true)
    t.equal(isDue(`${challenge?.server.key ?? ''}${made?.server.cert ?? ''}`, now), true, 'of another key')
    t.equal(isDue(pem, now), false)
    t.equal(isDue(pem, now + 1.3 * day), false)
    t.equal(isDue(pem, now + 1.4 * day), true)
  })

  t.test('openCertificateCache() keeps keys to itself', async t => {
    const dir = `${t.testdir({})}/acme`
    const cache = openCertificateCache(dir)

    await cache.writeAccountKey('a')
    await cache.writeChallenge('h', 'c')
    await cache.removeChallenge('h')

    t.equal(await cache.readChallenge('h'), undefined)
    t.equal(await cache.readAccountKey(), 'a')
    t.same(fs.readdirSync(dir), ['acme_account+key'])
    t.equal(fs.statSync(`${dir}/acme_account+key`).mode & 0o777, 0o600)
  })

  t.test('a challenge is for those alone who ask for it', async t => {
    const directory = t.testdir({
      'registry.example': pem,
      'registry.example+token': `${challenge?.server.key ?? ''}${challenge?.server.cert ?? ''}`,
    })
    const { url, expiries } = await start(t, directory)
    const shown = async (ALPNProtocols: string[], servername: string) => {
      const port = Number(new URL(url).port)
      const socket = connect({
        port,
        host: '127.0.0.1',
        servername,
        ALPNProtocols,
        rejectUnauthorized: false,
      })
      t.teardown(() => socket.destroy())
      await once(socket, 'secureConnect')
      return { protocol: socket.alpnProtocol, names: socket.getPeerX509Certificate()?.subjectAltName }
    }
    await until(() => expiries.length === 1)

    t.same(await shown(['acme-tls/1'], 'registry.example'), {
      protocol: 'acme-tls/1',
      names: 'DNS:challenge.example',
    })
    t.same(await shown(['h2'], 'REGISTRY.example'), { protocol: 'h2', names: 'DNS:registry.example' })
    await t.rejects(shown(['h2'], 'other.example'))
    await t.rejects(shown(['acme-tls/1'], 'other.example'))
  })

  t.test('listen() refuses hosts that are none, and having none at all', async t => {
    await t.rejects(start(t, t.testdir({}), ['../../etc']), { message: /not names of hosts/ })
    await t.rejects(start(t, t.testdir({}), []), { message: /names no host/ })
  })

  t.equal(retryAfter(0), 60_000)
  t.equal(retryAfter(100), 6 * 60 * 60 * 1000)
}

/** Nothing is due on its clock, so that no authority is asked. */
async function start(t: Test, directory: string, hosts: readonly string[] = ['registry.example']) {
  const expiries: number[] = []
  const listener = await listen(
    (_req, res) => {
      res.end()
      return Promise.resolve()
    },
    {
      addr: '127.0.0.1:0',
      net: 'tcp',
      tls: {
        letsencrypt: { directory, email: '', hosts, directoryurl: undefined },
        minimumtls: 'tls1.2',
        ciphersuites: [],
        clientcas: [],
        clientauth: undefined,
      },
    },
    {
      clock: new ManualClock(Date.now() - 60 * day),
      logger: silent,
      onCertificateExpiry: ms => void expiries.push(ms),
    },
  )
  t.teardown(() => listener.close())
  return { url: listener.url, expiries }
}
