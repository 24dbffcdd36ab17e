// References: what stands after /manifests/, a tag or a digest. Source: distribution-spec "Pulling manifests".
import { parseDigest, type Digest } from './digest.ts'
import { RegistryError } from './errors.ts'

declare const brand: unique symbol

/** 1 to 128 characters of `[A-Za-z0-9_.-]`, the first neither `.` nor `-`. Only parseTag() makes one. */
export type Tag = string & { readonly [brand]: 'Tag' }

export type Reference =
  { readonly kind: 'tag'; readonly tag: Tag } | { readonly kind: 'digest'; readonly digest: Digest }

const grammar = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/

/** Parses a tag; throws RegistryError TAG_INVALID. */
export function parseTag(text: string): Tag {
  if (!isTag(text)) {
    throw new RegistryError('TAG_INVALID', `Cannot parse tag "${text.slice(0, 160)}"`, {
      detail: 'invalid tag',
    })
  }
  return text
}

export function isTag(text: string): text is Tag {
  return grammar.test(text)
}

/** Parses a tag or a digest; a text with a colon is meant as a digest. Throws TAG_INVALID or DIGEST_INVALID. */
export function parseReference(text: string): Reference {
  if (text.includes(':')) return { kind: 'digest', digest: parseDigest(text) }
  return { kind: 'tag', tag: parseTag(text) }
}

export function formatReference(reference: Reference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest
}

export function digestReference(digest: Digest): Reference {
  return { kind: 'digest', digest }
}

export function tagReference(tag: Tag): Reference {
  return { kind: 'tag', tag }
}
