// The list `access`: who may do what where. Pure: it is told who asks and answers yes or no, so that the schemes and the
// token service judge alike. What no rule allows is refused.
import { LRUCache } from 'lru-cache'
import type { AccessRuleConfig } from '../config/auth.ts'
import { compilePattern, matchesAny } from '../name-pattern.ts'
import type { Access } from './access-controller.ts'
import type { Principal } from './principal.ts'

export interface AccessRules {
  allows(principal: Principal, access: Access): boolean
  /** Whether some rule is for clients with this certificate; where none is, it is nobody's credentials. */
  knowsCertificate(commonName: string): boolean
}

type Rule = (principal: Principal) => Permission | undefined

/** What a rule lets a principal do. */
interface Permission {
  readonly actions: readonly string[]
  covers(repository: string): boolean
}

const certificatePrefix = 'cert:'
const userPlaceholder = '{user}'
const maxUsers = 1000
// distribution-spec, "Pulling manifests": one component of a repository name.
const pathComponent = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/

/** Without rules every user may do everything. Throws SyntaxError where a pattern is no regular expression. */
export function createAccessRules(rules: readonly AccessRuleConfig[] | undefined): AccessRules {
  if (rules === undefined) return everythingForUsers
  const compiled = rules.map(compileRule)
  return {
    knowsCertificate: matchesAny(rules.flatMap(rule => certificatePatterns(rule.principals))),
    allows(principal, access) {
      const permits = access.type === 'registry' ? permitsCatalog : permitsRepository
      return compiled.some(rule => {
        const permission = rule(principal)
        return permission !== undefined && permits(permission, access)
      })
    },
  }
}

const everythingForUsers: AccessRules = {
  allows: ({ name }) => name !== undefined,
  knowsCertificate: () => false,
}

function permitsRepository({ actions, covers }: Permission, { name, action }: Access): boolean {
  const permitted =
    action === '*' ? ['pull', 'push', 'delete'].every(one => actions.includes(one)) : actions.includes(action)
  return permitted && covers(name)
}

/** The catalog is for whoever may pull anything: it shows each caller only what that one may pull. */
function permitsCatalog({ actions }: Permission, { name, action }: Access): boolean {
  return name === 'catalog' && action === '*' && actions.includes('pull')
}

function compileRule({ principals, repositories, actions }: AccessRuleConfig): Rule {
  const users = new Set(principals.filter(principal => !isForCertificates(principal)))
  const isCertificate = matchesAny(certificatePatterns(principals))
  const covering = coveredRepositories(repositories)

  /** Undefined: the rule is for somebody else. An empty name: for this one, but nameless. */
  function matchedName({ name, certificate }: Principal): string | undefined {
    if (name !== undefined && (users.has(name) || users.has('*'))) return name
    if (certificate !== undefined && isCertificate(certificate)) return certificate
    return users.has('anonymous') ? (name ?? certificate ?? '') : undefined
  }

  return principal => {
    const name = matchedName(principal)
    const covers = name === undefined ? undefined : covering(name)
    return covers && { actions, covers }
  }
}

/** For each caller which repositories match; undefined where none can. */
function coveredRepositories(
  patterns: readonly string[],
): (user: string) => ((repository: string) => boolean) | undefined {
  const forAll = patterns.filter(pattern => !pattern.includes(userPlaceholder))
  const personal = patterns.filter(pattern => pattern.includes(userPlaceholder))
  const matchesForAll = forAll.length === 0 ? undefined : matchesAny(forAll)
  if (personal.length === 0) return () => matchesForAll
  for (const pattern of personal) compilePattern(insertUser(pattern, 'user'))
  const byUser = new LRUCache<string, (repository: string) => boolean>({ max: maxUsers })

  return user => {
    // A name that is no path component would say more than one place, or a pattern.
    if (!pathComponent.test(user)) return matchesForAll
    const known = byUser.get(user)
    if (known !== undefined) return known
    const matches = matchesAny([...forAll, ...personal.map(pattern => insertUser(pattern, user))])
    byUser.set(user, matches)
    return matches
  }
}

/** Of what a path component may have, a dot alone means something in a regular expression. */
function insertUser(pattern: string, user: string): string {
  const isExpression = pattern.length > 1 && pattern.startsWith('/') && pattern.endsWith('/')
  return pattern.replaceAll(userPlaceholder, () => (isExpression ? user.replaceAll('.', '\\.') : user))
}

function certificatePatterns(principals: readonly string[]): readonly string[] {
  return principals.filter(isForCertificates).map(principal => principal.slice(certificatePrefix.length))
}

function isForCertificates(principal: string): boolean {
  return principal.startsWith(certificatePrefix)
}
