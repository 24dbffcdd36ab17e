// Certificates on demand with an authority: a server that is started without a certificate, and all that follows.
import fs from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { connect as connectPlain } from 'node:net'
import { text } from 'node:stream/consumers'
import { TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../lib/clock.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { createLogger } from '../../lib/log.ts'
import { startServer } from '../../lib/server.ts'
import { startAuthority, type Authority, type AuthorityOptions } from '../support/acme-authority.ts'
import { makeCertificates } from '../support/certificates.ts'
import { driverSections } from '../support/driver-sections.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const host = 'registry.example'
const second = `${'long-'.repeat(12)}name.registry.example`
const made = makeCertificates(t, ['127.0.0.1'])
if (made === undefined) t.comment('no openssl to make certificates with')
else run(made)

function run({ ca, server }: NonNullable<typeof made>): void {
  t.test('a server without certificates gets one for each host, keeps them, and asks no more', async t => {
    const { authority, directory, start } = await prepare(t)
    const { url, log, stop } = await start({ hosts: [host.toUpperCase(), second] })
    await until(() => fs.existsSync(`${directory}/${host}`) && fs.existsSync(`${directory}/${second}`))

    t.same(authority.orders.map(order => order.host).sort(), [second, host])
    t.same(
      authority.accounts.map(({ contact }) => contact),
      [['mailto:admin@registry.example']],
      'the hosts share an account',
    )
    for (const name of [host, second]) {
      t.equal((await ask(url, authority.ca, name)).status, 200)
      t.equal(await askHttp2(url, authority.ca, name), 200)
    }
    t.same(fs.readdirSync(directory).sort(), ['acme_account+key', second, host].sort())
    t.equal(fs.statSync(directory).mode & 0o777, 0o700)
    for (const file of fs.readdirSync(directory))
      t.equal(fs.statSync(`${directory}/${file}`).mode & 0o777, 0o600)
    t.notMatch(log.join(''), /PRIVATE KEY/)
    await t.rejects(ask(url, authority.ca, 'other.example'), 'another host has none')
    await stop()

    const asked = authority.paths.length
    const again = await start({ hosts: [host, second] })
    t.equal((await ask(again.url, authority.ca, host)).status, 200)
    await t.rejects(ask(again.url, authority.ca, 'other.example'))
    t.equal(authority.paths.length, asked, 'the authority is not asked')
  })

  t.test('an authority that takes its time and does not like each nonce is waited for', async t => {
    const { authority, directory, start } = await prepare(t, { isSlow: true })
    authority.badNonces = 2
    const { url } = await start({ clock: systemClock })
    await until(() => fs.existsSync(`${directory}/${host}`))

    t.equal((await ask(url, authority.ca, host)).status, 200)
  })

  t.test('what an authority refuses is logged and asked for again', async t => {
    const { authority, directory, start } = await prepare(t)
    const refusal = { status: 429, type: 'rateLimited', detail: 'too many\ncertificates' }
    authority.refusal = { ...refusal, headers: { 'Retry-After': '86400' } }
    const clock = new ManualClock(Date.now())
    const { url, failures } = await start({ clock })

    await until(() => failures().length === 1)
    t.match(failures()[0], {
      host,
      msg: /trying again in 1 minutes/,
      err: { message: /answered 429: too many/ },
    })
    await t.rejects(ask(url, authority.ca, host))
    t.match(await askPlain(url), /^HTTP\/1.1 400/, 'the listener goes on')

    const registryPort = authority.registryPort
    Object.assign(authority, { refusal: undefined, registryPort: 1 })
    clock.advance(minute)
    await until(() => failures().length === 2)
    t.match(failures()[1], {
      msg: /trying again in 2 minutes/,
      err: { message: /the order is invalid: .*ECONNREFUSED/ },
    })
    t.notOk(fs.existsSync(`${directory}/${host}+token`), 'the challenge is gone')

    authority.registryPort = registryPort
    clock.advance(minute)
    t.equal(authority.orders.length, 1)
    clock.advance(minute)
    await until(() => fs.existsSync(`${directory}/${host}`))
    t.equal((await ask(url, authority.ca, host)).status, 200)
    t.equal(authority.accounts.length, 1)
  })

  t.test('an authority that is down is no reason not to start', async t => {
    const { authority, start } = await prepare(t)
    authority.stop()
    const { url, failures } = await start()

    await until(() => failures().length === 1)
    t.match(failures()[0], { msg: /trying again in 1 minutes/, err: { message: /ECONNREFUSED/ } })
    t.match(await askPlain(url), /^HTTP\/1.1 400/)
  })

  t.test('a certificate is renewed before it ends, and clients see nothing of it', async t => {
    const { authority, directory, start } = await prepare(t)
    const clock = new ManualClock(Date.now())
    const { url, failures, stop } = await start({ clock })
    await until(() => fs.existsSync(`${directory}/${host}`))
    const first = await ask(url, authority.ca, host)
    clock.advance(59 * day)
    t.same(await ask(url, authority.ca, host), first)
    t.equal(authority.orders.length, 1)

    const { registryPort } = authority
    Object.assign(authority, { registryPort: undefined, days: 200 })
    clock.advance(2 * day)
    await until(() => authority.paths.at(-1) === '/challenges/1')
    t.same(await ask(url, authority.ca, host), first, 'beside a challenge the old one is used')
    t.equal(await askHttp2(url, authority.ca, host), 200)
    t.ok(fs.existsSync(`${directory}/${host}+token`))
    authority.registryPort = registryPort
    await until(async () => (await ask(url, authority.ca, host)).serial !== first.serial)

    t.same(failures(), [])
    t.equal(authority.accounts.length, 1)
    await until(() => !fs.existsSync(`${directory}/${host}+token`))
    await stop()
  })

  t.test('a certificate that is short is not renewed every hour', async t => {
    const { authority, directory, start } = await prepare(t)
    authority.days = 6
    const clock = new ManualClock(Date.now())
    const { url } = await start({ clock })
    await until(() => fs.existsSync(`${directory}/${host}`))
    const first = await ask(url, authority.ca, host)
    const asked = authority.paths.length
    let elapsedMs = 0
    for (; authority.paths.length === asked; elapsedMs += 12 * hour) {
      clock.advance(12 * hour)
      t.same(await ask(url, authority.ca, host), first)
    }

    t.ok(elapsedMs >= 4 * day, `after ${elapsedMs / hour} hours`)
    await until(async () => (await ask(url, authority.ca, host)).serial !== first.serial)
  })

  t.test('a kept certificate without its key is replaced', async t => {
    const { authority, directory, start } = await prepare(t)
    fs.mkdirSync(directory)
    fs.writeFileSync(`${directory}/${host}`, `${server.key}${ca}`)
    const { url } = await start()
    await until(() => authority.orders[0]?.status === 'valid')

    await until(() => fs.readFileSync(`${directory}/${host}`, 'utf8').endsWith(authority.ca))
    t.equal((await ask(url, authority.ca, host)).status, 200)
  })

  t.test('a private authority is trusted by NODE_EXTRA_CA_CERTS; a stop waits for nobody', async t => {
    const { authority, root, directory } = await prepare(t, { tls: server, isSlow: true })
    const program = `${root}/registry.mjs`
    await build({
      entryPoints: [fileURLToPath(new URL('../../bin/registry.ts', import.meta.url))],
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: program,
      logLevel: 'error',
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
      },
    })
    fs.writeFileSync(`${root}/authority.pem`, ca)
    fs.writeFileSync(`${root}/config.yml`, configOf(root, authority.url, [host]))
    const serve = (more: Readonly<Record<string, string>>) => {
      const child = spawn(process.execPath, [program, 'serve', `${root}/config.yml`], {
        env: { ...process.env, NODE_EXTRA_CA_CERTS: '', ...more },
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      t.teardown(() => child.kill('SIGKILL'))
      const seen = { log: '', port: () => Number(/listening on 127.0.0.1:(\d+), tls/.exec(seen.log)?.[1]) }
      child.stderr.setEncoding('utf8').on('data', (lines: string) => (seen.log += lines))
      const stop = async () => {
        child.kill('SIGTERM')
        return (await once(child, 'exit')) as unknown[]
      }
      return { seen, stop }
    }

    const distrusting = serve({})
    await until(() => /trying again in 1 minutes/.test(distrusting.seen.log))
    t.match(distrusting.seen.log, /unable to (verify|get)|self.signed/)
    t.same(await distrusting.stop(), [0, null])
    t.same(authority.paths, [])

    const trusting = serve({ NODE_EXTRA_CA_CERTS: `${root}/authority.pem` })
    await until(() => authority.paths.includes('/challenges/0'))
    t.same(await trusting.stop(), [0, null], 'in the middle of a challenge')
    t.notMatch(trusting.seen.log, /cannot obtain/)

    const again = serve({ NODE_EXTRA_CA_CERTS: `${root}/authority.pem` })
    await until(() => again.seen.port() > 0)
    authority.registryPort = again.seen.port()
    await until(() => fs.existsSync(`${directory}/${host}`))
    t.equal((await ask(`https://127.0.0.1:${again.seen.port()}`, authority.ca, host)).status, 200)
    t.equal(authority.accounts.length, 1)
    t.same(await again.stop(), [0, null])
  })
}

/** An authority, and how to start a registry that asks it. */
async function prepare(t: Test, options: Omit<AuthorityOptions, 'directory'> = {}) {
  const root = t.testdir({ authority: {} })
  const authority: Authority = await startAuthority(t, { directory: `${root}/authority`, ...options })
  async function start({ clock = new ManualClock(Date.now()), hosts = [host] }: StartOptions = {}) {
    const log: string[] = []
    const { config } = loadConfig({
      text: configOf(root, authority.url, hosts),
      env: {},
      drivers: driverSections,
    })
    const write = (line: string) => void log.push(line)
    const logger = createLogger({ level: 'debug', formatter: 'json', fields: {}, write })
    const running = await startServer({ config, logger, version: 'test', clock })
    t.teardown(() => running.stop())
    const { url } = running.addresses
    authority.registryPort = Number(new URL(url).port)
    const failures = () =>
      log
        .map(line => JSON.parse(line) as Readonly<Record<string, unknown>>)
        .filter(({ msg }) => String(msg).startsWith('cannot obtain certificate'))
    return { url, log, failures, stop: () => running.stop() }
  }
  return { root, authority, directory: `${root}/acme`, start }
}

interface StartOptions {
  readonly clock?: Clock
  readonly hosts?: readonly string[]
}

function configOf(root: string, directoryUrl: string, hosts: readonly string[]): string {
  return JSON.stringify({
    version: 0.1,
    storage: { filesystem: { rootdirectory: `${root}/storage` } },
    http: {
      addr: '127.0.0.1:0',
      tls: {
        letsencrypt: {
          cachefile: `${root}/acme`,
          email: 'admin@registry.example',
          hosts,
          directoryurl: directoryUrl,
        },
      },
    },
  })
}

/** By HTTP/1.1, as a client that trusts the authority alone. */
async function ask(url: string, ca: string, servername: string) {
  const request = https.get(`${url}/v2/`, { ca, servername, agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const { socket } = response
  const serial = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.serialNumber : undefined
  await text(response)
  return { status: response.statusCode, serial }
}

async function askHttp2(url: string, ca: string, servername: string): Promise<number | undefined> {
  const session = http2.connect(url, { ca, servername })
  try {
    const stream = session.request({ ':path': '/v2/' })
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders]
    return Number(headers[':status'])
  } finally {
    session.destroy()
  }
}

async function askPlain(url: string): Promise<string> {
  const socket = connectPlain(Number(new URL(url).port), '127.0.0.1')
  socket.write('GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n')
  return text(socket)
}
