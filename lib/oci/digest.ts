// Digests: the names of content. A Digest is a validated string, so it can be a Map key, JSON and a path part.
// Source: image-spec descriptor.md "Digests"; sha256 and sha512 are the registered algorithms.
import { createHash, type Hash } from 'node:crypto'
import { RegistryError } from './errors.ts'

declare const brand: unique symbol

/** `sha256:` or `sha512:` followed by lower-case hex of the exact length. Only parseDigest() and Hasher make one. */
export type Digest = string & { readonly [brand]: 'Digest' }
export type DigestAlgorithm = 'sha256' | 'sha512'

const hexLength: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 }
const grammar = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/
const lowerHex = /^[0-9a-f]+$/

/** Parses a digest; throws RegistryError DIGEST_INVALID, whose detail says what is wrong. */
export function parseDigest(text: string): Digest {
  const problem = findProblem(text)
  if (problem !== undefined) {
    throw new RegistryError('DIGEST_INVALID', `Cannot parse digest "${text.slice(0, 160)}": ${problem}`, {
      detail: problem,
    })
  }
  return text as Digest
}

export function isDigest(text: string): text is Digest {
  return findProblem(text) === undefined
}

export function isDigestAlgorithm(text: string): text is DigestAlgorithm {
  return Object.hasOwn(hexLength, text)
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(':')) as DigestAlgorithm
}

export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

/** Digest of bytes already in memory, sha256 unless told otherwise. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest
}

/** Incremental digest of a body: native hashing, one update per chunk, one digest at the end. */
export class Hasher {
  readonly algorithm: DigestAlgorithm
  #bytes = 0
  readonly #hash: Hash

  constructor(algorithm: DigestAlgorithm = 'sha256') {
    this.algorithm = algorithm
    this.#hash = createHash(algorithm)
  }

  get bytesHashed(): number {
    return this.#bytes
  }

  /** One chunk, or several in their order. */
  update(content: Uint8Array | readonly Uint8Array[]): void {
    for (const chunk of content instanceof Uint8Array ? [content] : content) {
      this.#hash.update(chunk)
      this.#bytes += chunk.length
    }
  }

  /** The digest of what was hashed so far; the hasher goes on being usable. */
  digest(): Digest {
    return `${this.algorithm}:${this.#hash.copy().digest('hex')}` as Digest
  }
}

function findProblem(text: string): string | undefined {
  if (text.length > 160 || !grammar.test(text)) return 'invalid checksum digest format'
  const algorithm = text.slice(0, text.indexOf(':'))
  if (!isDigestAlgorithm(algorithm)) return 'unsupported digest algorithm'
  const hex = text.slice(algorithm.length + 1)
  if (hex.length !== hexLength[algorithm]) return 'invalid checksum digest length'
  if (!lowerHex.test(hex)) return 'invalid checksum digest format'
  return undefined
}
