// What `http.tls` means for a server: its certificates, whence they come and when they change, and who may connect.
import type { SecureContextOptions, Server, TLSSocket, TlsOptions } from 'node:tls'
import type { Clock } from '../clock.ts'
import type { TlsConfig } from '../config/config.ts'
import type { Logger } from '../log.ts'
import { openAcme } from './acme/acme.ts'
import { readCredentials, watchCredentials, type Credentials } from './certificate-files.ts'
import { chooseSuites } from './cipher-suites.ts'
import { clientAuthOptions, mayStay } from './client-certificates.ts'

export interface Tls {
  readonly options: TlsOptions
  /** Keeps the certificates of this server up to date until close(). */
  attach(server: Server): void
  /** Whether a client that has shaken hands may go on. */
  admits(socket: TLSSocket): boolean
  /** Serves connections by which an authority checks that a name is ours. */
  readonly challenges: Server | undefined
  close(): void
}

export interface TlsDeps {
  readonly clock: Clock
  readonly logger: Logger
  /** Told when the certificate in use ends, epoch ms, whenever that changes. */
  readonly onExpiry: (expiresAtMs: number) => void
}

/** Rejects where certificates or the choice of suites are unusable. */
export async function openTls(config: TlsConfig, deps: TlsDeps): Promise<Tls> {
  const common: SecureContextOptions = {
    ciphers: chooseSuites(config.ciphersuites, config.minimumtls),
    honorCipherOrder: true,
    minVersion: config.minimumtls === 'tls1.3' ? 'TLSv1.3' : 'TLSv1.2',
  }
  const served =
    config.letsencrypt === undefined ? openFiles(config, common, deps) : openAcme(config, common, deps)
  const { options, ...rest } = await served
  return {
    ...rest,
    options: { ...common, ...clientAuthOptions(config.clientauth), ...options },
    admits: socket => mayStay(socket, config.clientauth),
  }
}

type Served = Omit<Tls, 'admits'>
type FilesConfig = Extract<TlsConfig, { readonly letsencrypt: undefined }>

async function openFiles(
  { certificate, key, clientcas }: FilesConfig,
  common: SecureContextOptions,
  { clock, logger, onExpiry }: TlsDeps,
): Promise<Served> {
  const files = { certificate, key, clientCas: clientcas }
  const stop = new AbortController()
  const contextOf = ({ cert, key: secret, ca }: Credentials): SecureContextOptions => ({
    cert,
    key: secret,
    ...(ca.length > 0 && { ca: [...ca] }),
  })
  const first = await readCredentials(files)
  onExpiry(first.expiresAtMs)
  return {
    options: contextOf(first),
    attach(server) {
      const changed = (credentials: Credentials) => {
        server.setSecureContext({ ...common, ...contextOf(credentials) })
        onExpiry(credentials.expiresAtMs)
      }
      void watchCredentials(files, changed, { clock, logger, signal: stop.signal })
    },
    challenges: undefined,
    close: () => stop.abort(),
  }
}
