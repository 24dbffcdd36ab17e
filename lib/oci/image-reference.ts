// Image references as people write them: `nginx`, `docker.io/library/nginx:1.27`, `ghcr.io/a/b@sha256:…`. A reference
// says which registry it means only by its first component, and only if that looks like a host: this is the rule of
// Docker and of everybody after it, so that `team/app` is a repository and `localhost/app` is not.
import { parseDigest, type Digest } from './digest.ts'
import { RegistryError } from './errors.ts'
import { digestReference, parseTag, tagReference, type Reference, type Tag } from './reference.ts'
import { parseRepositoryName, type RepositoryName } from './repository-name.ts'

export interface ImageReference {
  /** Lower case, with its port if there is one; undefined where the reference names no registry. */
  readonly host: string | undefined
  readonly repository: RepositoryName
  /** `latest` where the text has neither tag nor digest. */
  readonly tag: Tag | undefined
  readonly digest: Digest | undefined
}

const defaultTag = 'latest' as Tag
const hostGrammar = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/
const maxLength = 1024

/** Throws RegistryError NAME_INVALID, TAG_INVALID or DIGEST_INVALID, whose message quotes what is wrong. */
export function parseImageReference(text: string): ImageReference {
  if (text.length > maxLength) throw invalid(text, `longer than ${maxLength} characters`)
  if (text.includes('://')) throw invalid(text, 'a reference has no scheme')
  const at = text.indexOf('@')
  const digest = at < 0 ? undefined : parseDigest(text.slice(at + 1))
  const { host, rest } = splitHost(at < 0 ? text : text.slice(0, at))
  const colon = rest.indexOf(':')
  const tag = colon < 0 ? undefined : parseTag(rest.slice(colon + 1))
  const repository = parseRepositoryName(colon < 0 ? rest : rest.slice(0, colon))
  return { host, repository, tag: tag ?? (digest === undefined ? defaultTag : undefined), digest }
}

/** The reference in full: parses to the same again. */
export function formatImageReference({ host, repository, tag, digest }: ImageReference): string {
  const name = host === undefined ? repository : `${host}/${repository}`
  return `${name}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/** What to ask a registry for: the digest where there is one, as a tag beside it is a remark for people. */
export function referenceOf({ tag, digest }: ImageReference): Reference {
  return digest === undefined ? tagReference(tag ?? defaultTag) : digestReference(digest)
}

function splitHost(name: string): { readonly host: string | undefined; readonly rest: string } {
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(0, slash)).toLowerCase()
  if (!/[.:]/.test(first) && first !== 'localhost') return { host: undefined, rest: name }
  if (!hostGrammar.test(first)) throw invalid(name, 'what comes before the first slash is no host')
  return { host: first, rest: name.slice(slash + 1) }
}

function invalid(text: string, detail: string): RegistryError {
  return new RegistryError('NAME_INVALID', `Cannot parse image "${text.slice(0, 300)}": ${detail}`, {
    detail,
  })
}
