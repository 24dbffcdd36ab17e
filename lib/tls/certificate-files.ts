// A certificate and its key in files, which whoever renews them replaces at any time: they are read again when they have
// changed. Files are looked at, not watched: what watches them misses changes on network file systems and behind
// symbolic links, which is how secrets are mounted.
import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'

export interface CertificateFiles {
  /** The certificate and its chain, PEM. */
  readonly certificate: string
  readonly key: string
  readonly clientCas: readonly string[]
}

export interface Credentials {
  readonly cert: Buffer
  readonly key: Buffer
  /** Empty: clients are not asked for certificates. */
  readonly ca: readonly Buffer[]
  readonly expiresAtMs: number
}

export interface WatchDeps {
  readonly clock: Clock
  readonly logger: Logger
}

const lookEveryMs = 5000

/** Rejects where a file cannot be read, is not what it should be, or key and certificate do not belong together. */
export async function readCredentials(files: CertificateFiles): Promise<Credentials> {
  const [cert, key, ...ca] = await Promise.all([
    read('certificate', files.certificate),
    read('key', files.key),
    ...files.clientCas.map(path => read('client authority', path)),
  ])
  try {
    for (const [i, path] of files.clientCas.entries()) assertAuthority(ca[i], path)
    createSecureContext({ cert, key, ca })
    return { cert, key, ca, expiresAtMs: expiryOf(cert) }
  } catch (cause) {
    const { message } = cause as Error
    throw new Error(`Cannot use certificate "${files.certificate}" with "${files.key}": ${message}`, {
      cause,
    })
  }
}

/** Epoch ms. Throws for what is no certificate. */
function expiryOf(cert: Buffer | string): number {
  return Date.parse(new X509Certificate(cert).validTo)
}

/** Calls back with each new pair that is one, until `signal` is aborted; what is none is logged once. */
export async function watchCredentials(
  files: CertificateFiles,
  changed: (credentials: Credentials) => void,
  { clock, logger, signal }: WatchDeps & { readonly signal: AbortSignal },
): Promise<void> {
  const paths = [files.certificate, files.key, ...files.clientCas]
  let known = await fingerprint(paths)
  for (;;) {
    try {
      await clock.sleep(lookEveryMs, { signal })
    } catch {
      return
    }
    const found = await fingerprint(paths)
    if (found === known) continue
    known = found
    try {
      const credentials = await readCredentials(files)
      if (signal.aborted) return
      changed(credentials)
      logger.info({ certificate: files.certificate }, 'certificate was replaced')
    } catch (err) {
      logger.error({ err }, 'cannot replace certificate: the old one stays in use')
    }
  }
}

async function read(what: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new Error(`Cannot read ${what} "${path}": ${(cause as Error).message}`, { cause })
  }
}

/** OpenSSL takes a file without any certificate for one with none. */
function assertAuthority(pem: Buffer | undefined, path: string): void {
  if (pem?.includes('-----BEGIN CERTIFICATE-----')) return
  throw new Error(`"${path}" has no certificates of authorities`)
}

/** Changes when a file does; a file that is gone counts as one. */
async function fingerprint(paths: readonly string[]): Promise<string> {
  const facts = await Promise.all(
    paths.map(async path => {
      const found = await stat(path, { bigint: true }).catch(() => undefined)
      return found && `${found.ino}:${found.size}:${found.mtimeNs}`
    }),
  )
  return facts.join()
}
