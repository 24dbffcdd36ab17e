// Certificates inside tokens (`x5c`): the first one's key has signed the token, and each is issued by the next, up to
// one that is issued by a trusted one. Source: RFC 7515, 4.1.6.
import { X509Certificate, type KeyObject } from 'node:crypto'

const maxChain = 8

/** The key of the first certificate; undefined where the chain is malformed or leads to nobody whom we trust. */
export function keyOfChain(
  chain: unknown,
  roots: readonly X509Certificate[],
  nowMs: number,
): KeyObject | undefined {
  try {
    const certificates = parseChain(chain)
    return isTrusted(certificates, roots, nowMs) ? certificates[0]?.publicKey : undefined
  } catch {
    // Also where a certificate can be read, and its key cannot: they are whatever a stranger has sent.
    return undefined
  }
}

function parseChain(chain: unknown): readonly X509Certificate[] {
  if (!Array.isArray(chain) || chain.length > maxChain) throw new TypeError('not a chain')
  return chain.map(entry => {
    if (typeof entry !== 'string') throw new TypeError('not a string')
    return new X509Certificate(Buffer.from(entry, 'base64'))
  })
}

function isTrusted(
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  nowMs: number,
): boolean {
  const valid = roots.filter(root => isValidAt(root, nowMs))
  for (const [index, certificate] of chain.entries()) {
    if (!isValidAt(certificate, nowMs)) return false
    if (valid.some(root => root.raw.equals(certificate.raw) || isIssuedBy(certificate, root))) return true
    const issuer = chain[index + 1]
    if (issuer === undefined || !isIssuedBy(certificate, issuer)) return false
  }
  return false
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

function isValidAt({ validFrom, validTo }: X509Certificate, nowMs: number): boolean {
  return Date.parse(validFrom) <= nowMs && nowMs <= Date.parse(validTo)
}
