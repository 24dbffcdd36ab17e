// What a client asks a token for: `repository:team/app:pull,push`, several separated by spaces. Source: distribution
// "Token Scope Documentation". What is not understood is left out, as it cannot be granted; what is too much is refused.
import { isRepositoryName } from '../../oci/repository-name.ts'
import type { Access } from '../access-controller.ts'

/** One entry of the claim `access`, and of what is asked for. */
export interface ScopeEntry {
  readonly type: Access['type']
  /** `plugin` of `repository(plugin)`; says nothing to us. */
  readonly class?: string | undefined
  readonly name: string
  readonly actions: readonly Access['action'][]
}

const maxScopes = 64
/** Characters; a name has 255 at most. */
const maxLength = 512

const grammar = /^(?<type>[a-z0-9]+)(?:\((?<cls>[a-z0-9]{1,32})\))?:(?<name>.+):(?<actions>[^:]*)$/
const repositoryActions = ['pull', 'push', 'delete'] as const

/** Each type and name once. Throws ScopeError for too many or too long ones. */
export function parseScopes(texts: readonly string[]): readonly ScopeEntry[] {
  const scopes = texts.flatMap(text => text.split(' ')).filter(text => text !== '')
  if (scopes.length > maxScopes || scopes.some(scope => scope.length > maxLength))
    throw new ScopeError(`expected at most ${maxScopes} of at most ${maxLength} characters`)
  const entries = new Map<string, ScopeEntry>()
  for (const entry of scopes.flatMap(parseScope)) {
    const key = `${entry.type}:${entry.name}`
    const earlier = entries.get(key)
    const actions = new Set([...(earlier?.actions ?? []), ...entry.actions])
    entries.set(key, { ...entry, ...earlier, actions: [...actions] })
  }
  return [...entries.values()]
}

/** The client asks for more than anybody needs. */
export class ScopeError extends Error {
  override readonly name = 'ScopeError'

  constructor(detail: string) {
    super(`Cannot read scope: ${detail}`)
  }
}

export function formatScopes(entries: readonly ScopeEntry[]): string {
  return entries
    .map(
      ({ type, class: cls, name, actions }) =>
        `${type}${cls === undefined ? '' : `(${cls})`}:${name}:${actions.join(',')}`,
    )
    .join(' ')
}

function parseScope(scope: string): readonly ScopeEntry[] {
  const { type, cls, name = '', actions: written = '' } = grammar.exec(scope)?.groups ?? {}
  const asked = written.split(',')
  if (type === 'registry') {
    return name === 'catalog' && asked.includes('*') ? [{ type, name, actions: ['*'] }] : []
  }
  if (type !== 'repository' || !isRepositoryName(name)) return []
  const actions = repositoryActions.filter(action => asked.includes(action) || asked.includes('*'))
  return actions.length === 0 ? [] : [{ type, ...(cls !== undefined && { class: cls }), name, actions }]
}
