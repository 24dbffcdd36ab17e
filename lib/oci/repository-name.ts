// Repository names. Source: distribution-spec "Pulling manifests": the <name> grammar; distribution also lets the
// first component be a host name with upper case, which we take as well, but never a port (it cannot be a path part).
import { RegistryError } from './errors.ts'

declare const brand: unique symbol

/** A name such as `library/nginx`: at most 255 characters, safe as path parts. Only parseRepositoryName() makes one. */
export type RepositoryName = string & { readonly [brand]: 'RepositoryName' }

const component = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/
const hostLabels = /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*$/
const maxLength = 255

/** Parses a repository name; throws RegistryError NAME_INVALID, whose detail says what is wrong. */
export function parseRepositoryName(text: string): RepositoryName {
  const problem = findProblem(text)
  if (problem !== undefined) {
    throw new RegistryError(
      'NAME_INVALID',
      `Cannot parse repository name "${text.slice(0, maxLength)}": ${problem}`,
      {
        detail: problem,
      },
    )
  }
  return text as RepositoryName
}

export function isRepositoryName(text: string): text is RepositoryName {
  return findProblem(text) === undefined
}

function findProblem(text: string): string | undefined {
  if (text.length === 0) return 'repository name is empty'
  if (text.length > maxLength) return `repository name is longer than ${maxLength} characters`
  const components = text.split('/')
  const [head = '', ...rest] = components
  const headIsHost = rest.length > 0 && hostLabels.test(head)
  if (!component.test(head) && !headIsHost) return 'invalid repository name component'
  if (!rest.every(part => component.test(part))) return 'invalid repository name component'
  return undefined
}
