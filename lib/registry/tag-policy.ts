// Which tags may not be moved. A pure rule; local.ts asks it under the locks that a push holds.
import { compilePattern } from '../name-pattern.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'

/** Tags that match one of `tags`, in repositories that match `repository`; undefined: in all of them. */
export interface ImmutableTags {
  readonly repository: string | undefined
  readonly tags: readonly string[]
}

export interface TagPolicy {
  /** Whether this tag, once it is set, must go on meaning what it means. */
  isImmutable(name: RepositoryName, tag: Tag): boolean
}

/** Throws SyntaxError for a pattern that is no regular expression; configuration has checked them. */
export function createTagPolicy(rules: readonly ImmutableTags[]): TagPolicy {
  const compiled = rules.map(({ repository, tags }) => ({
    repository: compilePattern(repository ?? '*'),
    tags: tags.map(compilePattern),
  }))
  return {
    isImmutable: (name, tag) =>
      compiled.some(rule => rule.repository.test(name) && rule.tags.some(pattern => pattern.test(tag))),
  }
}

/** The tag is immutable, and what was asked for would have changed it. HTTP answers it with 409, not with DENIED's own. */
export class TagImmutableError extends RegistryError {
  override readonly name = 'TagImmutableError'

  constructor(tag: Tag, digest: Digest) {
    const detail = `tag "${tag}" is immutable: it points to ${digest}`
    super('DENIED', `Cannot change tag: ${detail}`, { detail })
  }
}
