// The keys that sign tokens: those of the certificates in `rootcertbundle`, and those in `jwks`. Both files may change
// while we run, as keys are rotated.
import { createHash, createPublicKey, createSecretKey, X509Certificate, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, type JWK } from 'jose'
import { WatchedFile, type WatchedFileDeps } from '../watched-file.ts'

export interface TrustedKey {
  readonly key: KeyObject
  /** The only algorithm it may be used with; undefined: any that fits it. */
  readonly algorithm: string | undefined
}

export interface TrustedKeys {
  /** By key id. */
  readonly byId: ReadonlyMap<string, TrustedKey>
  /** What certificate chains in tokens must lead to. */
  readonly roots: readonly X509Certificate[]
}

export interface KeyFiles {
  readonly rootcertbundle: string | undefined
  readonly jwks: string | undefined
}

/** Rejects where a file cannot be read or has no key. */
export async function openTrustedKeys(
  { rootcertbundle, jwks }: KeyFiles,
  deps: WatchedFileDeps,
): Promise<() => Promise<TrustedKeys>> {
  const bundle =
    rootcertbundle === undefined ? undefined : await WatchedFile.open(rootcertbundle, parseBundle, deps)
  const set = jwks === undefined ? undefined : await WatchedFile.open(jwks, parseJwks, deps)
  return async () => {
    const certified = await bundle?.current()
    const listed = await set?.current()
    return { byId: new Map([...(certified?.byId ?? []), ...(listed ?? [])]), roots: certified?.roots ?? [] }
  }
}

async function parseBundle(text: string): Promise<TrustedKeys> {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new SyntaxError('Cannot read rootcertbundle: there is no certificate in it')
  const roots = blocks.map(block => new X509Certificate(block))
  const byId = new Map<string, TrustedKey>()
  for (const { publicKey } of roots) {
    const trusted = { key: publicKey, algorithm: undefined }
    byId.set(await calculateJwkThumbprint(await exportJWK(publicKey)), trusted)
    byId.set(fingerprintOf(publicKey), trusted)
  }
  return { byId, roots }
}

/** The key id that older token services write: `PYYO:TEWU:V7JH:…`, 240 bits of a hash in base 32. */
function fingerprintOf(key: KeyObject): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const hash = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
    .subarray(0, 30)
  const bits = Array.from(hash, byte => byte.toString(2).padStart(8, '0')).join('')
  const letters = (bits.match(/.{5}/g) ?? []).map(five => alphabet.charAt(Number.parseInt(five, 2))).join('')
  return (letters.match(/.{4}/g) ?? []).join(':')
}

async function parseJwks(text: string): Promise<ReadonlyMap<string, TrustedKey>> {
  const keys = listedIn(text)
  if (keys === undefined || keys.length === 0)
    throw new SyntaxError('Cannot read jwks: there is no key in it')
  const byId = new Map<string, TrustedKey>()
  for (const [index, jwk] of keys.entries()) {
    try {
      if (jwk.use !== undefined && jwk.use !== 'sig') continue
      const trusted = { key: toKey(jwk), algorithm: jwk.alg }
      byId.set(jwk.kid ?? (await calculateJwkThumbprint(jwk)), trusted)
    } catch (cause) {
      throw new SyntaxError(`Cannot read jwks: key ${index + 1} is malformed`, { cause })
    }
  }
  return byId
}

/** JSON.parse() would quote from the file, which may have secrets. */
function listedIn(text: string): readonly JWK[] | undefined {
  try {
    const set = JSON.parse(text) as { readonly keys?: unknown } | null
    return Array.isArray(set?.keys) ? set.keys : undefined
  } catch {
    throw new SyntaxError('Cannot read jwks: it is no JSON')
  }
}

/** Of a private key in the file only the public part is kept. */
function toKey(jwk: JWK): KeyObject {
  if (jwk.kty === 'oct') {
    const secret = Buffer.from(jwk.k ?? '', 'base64url')
    if (secret.length === 0)
      throw new TypeError('Cannot verify with a secret that everybody knows: it is empty')
    return createSecretKey(secret)
  }
  return createPublicKey({ key: jwk as Record<string, string>, format: 'jwk' })
}
