// Which keys an algorithm can be used with. It is the token that names the algorithm, so a key must never be taken for
// one of another kind: a public key is known to everybody, and would make a fine secret for HS256.
import type { KeyObject } from 'node:crypto'
import type { SigningAlgorithm } from '../../config/auth.ts'

const curves: Readonly<Record<string, string>> = {
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
}

export function fits(algorithm: SigningAlgorithm, key: KeyObject): boolean {
  if (algorithm.startsWith('HS')) return key.type === 'secret'
  if (key.type !== 'public') return false
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (algorithm === 'EdDSA') return type === 'ed25519'
  if (algorithm.startsWith('ES')) return type === 'ec' && details?.namedCurve === curves[algorithm]
  return type === 'rsa'
}
