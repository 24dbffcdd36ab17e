// Certificates on demand: each configured name has its own, and connections by which the authority checks a name go to a
// server of their own, so that clients never see what is made for it.
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TlsOptions,
} from 'node:tls'
import { readFile } from 'node:fs/promises'
import type { TlsConfig } from '../../config/config.ts'
import type { TlsDeps } from '../tls.ts'
import { openCertificateCache, type CertificateCache } from './certificate-cache.ts'
import { createObtain } from './obtain.ts'
import { keepFresh, validityOf } from './renewal.ts'

type AcmeTlsConfig = Exclude<TlsConfig, { readonly letsencrypt: undefined }>

export interface AcmeServed {
  readonly options: TlsOptions
  attach(): void
  readonly challenges: Server
  close(): void
}

/** Nothing is asked of the authority before attach(). */
export async function openAcme(
  { letsencrypt, clientcas }: AcmeTlsConfig,
  common: SecureContextOptions,
  { clock, logger, onExpiry }: TlsDeps,
): Promise<AcmeServed> {
  const hosts = namesOf(letsencrypt.hosts)
  const cache = openCertificateCache(letsencrypt.directory)
  const ca = await Promise.all(clientcas.map(path => readFile(path)))
  const contexts = new Map<string, SecureContext>()
  const inUse = new Map<string, string>()
  const expiries = new Map<string, number>()
  const stop = new AbortController()

  function use(host: string, pem: string, expiresAtMs: number): void {
    if (inUse.get(host) === pem) return
    contexts.set(host, createSecureContext({ ...common, cert: pem, key: pem, ...(ca.length > 0 && { ca }) }))
    inUse.set(host, pem)
    expiries.set(host, expiresAtMs)
    onExpiry(Math.min(...expiries.values()))
  }

  /** What is kept is there for the first client; what is wrong with it is renewal's to find out and to tell. */
  async function useKept(host: string): Promise<void> {
    try {
      const pem = await cache.read(host)
      const validity = validityOf(pem)
      if (pem !== undefined && validity !== undefined) use(host, pem, validity.untilMs)
    } catch {
      return
    }
  }

  await Promise.all(Array.from(hosts, useKept))
  return {
    options: {
      ...(ca.length > 0 && { ca }),
      // Without a certificate for the name the handshake fails.
      SNICallback: (name, done) => done(null, contexts.get(name.toLowerCase())),
    },
    attach() {
      const { signal } = stop
      const obtain = createObtain(letsencrypt, { cache, clock, signal })
      const renewal = { cache, obtain, clock, logger, signal }
      for (const host of hosts) {
        void keepFresh(host, (pem, expiresAtMs) => use(host, pem, expiresAtMs), renewal)
      }
    },
    challenges: createChallengeServer(hosts, cache),
    close: () => stop.abort(),
  }
}

/** Names become names of files and questions to an authority. */
function namesOf(hosts: readonly string[]): ReadonlySet<string> {
  const wrong = hosts.filter(
    host => !/^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/i.test(host),
  )
  if (wrong.length > 0)
    throw new Error(`Cannot obtain certificates for "${wrong.join('", "')}": not names of hosts`)
  if (hosts.length === 0)
    throw new Error('Cannot obtain certificates: http.tls.letsencrypt.hosts names no host')
  return new Set(hosts.map(host => host.toLowerCase()))
}

/** RFC 8737, 3: the handshake is all there is. */
function createChallengeServer(hosts: ReadonlySet<string>, cache: CertificateCache): Server {
  const server = createServer({
    ALPNProtocols: ['acme-tls/1'],
    handshakeTimeout: 10_000,
    SNICallback(name, done) {
      const host = name.toLowerCase()
      const challenge = hosts.has(host) ? cache.readChallenge(host) : Promise.resolve(undefined)
      challenge
        .then(pem => pem && createSecureContext({ cert: pem, key: pem }))
        .then(context => done(null, context || undefined), done)
    },
  })
  server.on('secureConnection', socket => socket.on('error', () => {}).end(() => socket.destroy()))
  // One that takes too long is ours to end.
  server.on('tlsClientError', (_err, socket) => socket.destroy())
  return server
}
