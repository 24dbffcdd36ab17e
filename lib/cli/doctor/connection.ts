// The way to a registry, step by step: its name, its port, its certificate, and what /v2/ answers.
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { isIP, connect as connectTcp } from 'node:net'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import { request } from 'undici'
import type { Clock } from '../../clock.ts'
import { describeError } from '../../log.ts'
import { fail, ok, warn, type Finding } from './check.ts'

const timeoutMs = 10_000
const dayMs = 86_400_000
const maxSkewMs = 60_000

/** Ends with the first step that fails, as those after it cannot succeed. */
export async function* checkConnection(url: URL, clock: Clock): AsyncGenerator<Finding> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  const steps = [() => checkName(host), () => checkPort(host, port)]
  if (url.protocol === 'https:') steps.push(() => checkCertificate(host, port, clock))
  for (const step of steps) {
    const finding = await step()
    yield finding
    if (finding.verdict === 'fail') return
  }
  yield* checkApi(url, clock)
}

async function checkName(host: string): Promise<Finding> {
  if (isIP(host) !== 0) return ok('name', `${host} is an address`)
  try {
    const found = await lookup(host, { all: true })
    return ok('name', `${host} is ${found.map(({ address }) => address).join(', ')}`)
  } catch (err) {
    return fail('name', `${host} has no address: ${describeError(err)}`, 'Add the name to DNS or /etc/hosts.')
  }
}

async function checkPort(host: string, port: number): Promise<Finding> {
  const socket = connectTcp({ host, port })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) })
    return ok('port', `${host} port ${port} accepts connections`)
  } catch (err) {
    const remedy = 'Start the registry there, or open the port in the firewall.'
    return fail('port', `${host} port ${port} cannot be reached: ${describeError(err)}`, remedy)
  } finally {
    socket.destroy()
  }
}

async function checkCertificate(host: string, port: number, clock: Clock): Promise<Finding> {
  const servername = isIP(host) === 0 ? { servername: host } : {}
  // Looked at whatever it is, to say what is wrong with it.
  const socket = connectTls({ host, port, rejectUnauthorized: false, ...servername })
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(timeoutMs) })
    const problem = socket.authorizationError as Error | string | undefined | null
    const certificate = socket.getPeerCertificate()
    const leftMs = Date.parse(certificate.valid_to) - clock.now()
    const until = `valid until ${certificate.valid_to}`
    if (leftMs < 0) return fail('certificate', `it has expired: ${until}`, 'Renew the certificate.')
    if (problem)
      return untrusted(String((problem as { code?: string }).code ?? problem), certificate, host, port)
    if (leftMs < 14 * dayMs) return warn('certificate', until, 'Renew the certificate soon.')
    return ok('certificate', until)
  } catch (err) {
    const remedy = `If the registry speaks plain HTTP, its URL is http://${host}:${port}`
    return fail('certificate', `TLS fails: ${describeError(err)}`, remedy)
  } finally {
    socket.destroy()
  }
}

function untrusted(
  problem: string,
  { subjectaltname }: PeerCertificate,
  host: string,
  port: number,
): Finding {
  if (problem.includes('ALTNAME'))
    return fail(
      'certificate',
      `it is not for ${host}, but for ${subjectaltname ?? 'nothing'}`,
      `Make one whose subjectAltName has ${host}.`,
    )
  return fail(
    'certificate',
    `its authority is not trusted here: ${problem}`,
    `Give the clients the certificate of the authority, Docker in /etc/docker/certs.d/${host}:${port}/ca.crt, ` +
      'this program in NODE_EXTRA_CA_CERTS.',
  )
}

async function* checkApi(url: URL, clock: Clock): AsyncGenerator<Finding> {
  try {
    const { statusCode, headers, body } = await request(new URL('/v2/', url), {
      signal: AbortSignal.timeout(timeoutMs),
    })
    await body.dump()
    yield apiFinding(statusCode, String(headers['www-authenticate'] ?? ''))
    const skewMs = Math.abs(Date.parse(String(headers['date'])) - clock.now())
    if (skewMs > maxSkewMs)
      yield warn(
        'clock',
        `it differs from ours by ${Math.round(skewMs / 1000)} s`,
        'Set both clocks by NTP: tokens and certificates have times.',
      )
    else if (skewMs >= 0) yield ok('clock', 'as ours')
  } catch (err) {
    yield fail(
      'api',
      `GET /v2/ fails: ${describeError(err)}`,
      'Look into the log of the registry, or of what stands before it.',
    )
  }
}

function apiFinding(status: number, challenge: string): Finding {
  if (status === 200) return ok('api', '/v2/ answers 200')
  if (status === 401 && /^(?:basic|bearer) /i.test(challenge))
    return ok('api', `/v2/ asks for credentials: ${challenge.slice(0, 200)}`)
  if (status === 401)
    return fail(
      'api',
      '/v2/ answers 401 without a challenge',
      'Let the proxy before it pass on WWW-Authenticate.',
    )
  return fail(
    'api',
    `/v2/ answers ${status}`,
    'The URL is not that of a registry, or what stands before it does not pass on /v2/.',
  )
}
