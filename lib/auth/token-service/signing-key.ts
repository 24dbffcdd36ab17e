// A key that signs tokens: ES256, kept as a JWK whose `kid` is its thumbprint (RFC 7638), so that a file under a wrong
// name, or changed by hand, is found out.
import { createHmac, hkdfSync } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose'
import * as z from 'zod'

export interface SigningKey {
  readonly kid: string
  readonly createdAtMs: number
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
  readonly publicJwk: JWK
  /** Ties something secret to this key: nobody without the key can tell what it was, or make the same. */
  fingerprint(secret: string): string
}

export const algorithm = 'ES256'

const shape = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
  d: z.string(),
  kid: z.string(),
  /** Ours; seconds, as everywhere in JOSE. */
  created: z.number(),
})

/** A new key as JSON, its private part included. */
export async function generateKey(nowMs: number): Promise<{ readonly kid: string; readonly json: string }> {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true })
  const jwk = await exportJWK(privateKey)
  const kid = await calculateJwkThumbprint(jwk)
  const json = JSON.stringify({ ...jwk, kid, alg: algorithm, use: 'sig', created: Math.floor(nowMs / 1000) })
  return { kid, json }
}

/** Throws where the text is no such key. */
export async function parseKey(json: string): Promise<SigningKey> {
  const { kty, crv, x, y, d, kid, created } = shape.parse(JSON.parse(json))
  const publicPart = { kty, crv, x, y }
  if ((await calculateJwkThumbprint(publicPart)) !== kid) throw new TypeError('the kid is not its thumbprint')
  const [privateKey, publicKey] = await Promise.all([
    importJWK({ ...publicPart, d }, algorithm),
    importJWK(publicPart, algorithm),
  ])
  if (privateKey instanceof Uint8Array || publicKey instanceof Uint8Array)
    throw new TypeError('the key is symmetric')
  const binding = Buffer.from(hkdfSync('sha256', Buffer.from(d, 'base64url'), '', 'password fingerprint', 32))
  return {
    kid,
    createdAtMs: created * 1000,
    privateKey,
    publicKey,
    publicJwk: { ...publicPart, kid, alg: algorithm, use: 'sig' },
    fingerprint: secret => createHmac('sha256', binding).update(secret).digest('base64url'),
  }
}
