// Several accounts at one upstream: the longest prefix of a repository's name chooses among them.
import type { RepositoryName } from '../../oci/repository-name.ts'
import type { CredentialSource } from './credential-source.ts'

export interface PrefixedSource {
  /** Whole components of names: `team/private` is for `team/private/app`, and not for `team/privateer`. */
  readonly prefix: string
  readonly source: CredentialSource
}

/** Asks the source with the longest prefix, else `fallback`, else nobody. Throws TypeError for a prefix given twice. */
export function byPrefix(
  sources: readonly PrefixedSource[],
  fallback: CredentialSource | undefined,
): CredentialSource {
  const longestFirst = sources
    .map(({ prefix, source }) => ({ prefix: prefix.replace(/^\/+|\/+$/g, ''), source }))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)
  const prefixes = new Set<string>()
  for (const { prefix } of longestFirst) {
    if (prefix === '') throw new TypeError('Cannot use credentials for a prefix: the prefix is empty')
    if (prefixes.has(prefix)) throw new TypeError(`Cannot use credentials for "${prefix}": given twice`)
    prefixes.add(prefix)
  }
  return {
    async get(repository, options) {
      const found = longestFirst.find(({ prefix }) => isWithin(repository, prefix))
      return await (found?.source ?? fallback)?.get(repository, options)
    },
    refused(credentials) {
      for (const { source } of longestFirst) source.refused(credentials)
      fallback?.refused(credentials)
    },
  }
}

function isWithin(repository: RepositoryName, prefix: string): boolean {
  return (
    repository.startsWith(prefix) &&
    (repository.length === prefix.length || repository[prefix.length] === '/')
  )
}
