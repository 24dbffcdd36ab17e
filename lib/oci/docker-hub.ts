// Docker Hub goes by several hosts, and alone among registries has names without a slash, which mean its own images.
import { isRepositoryName } from './repository-name.ts'

export const dockerHubHosts: readonly string[] = [
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
]

/** The address of its API. */
export const dockerHubUrl = 'https://registry-1.docker.io'

/** What a name means there: `nginx` is `library/nginx`. */
export function officialName(name: string): string {
  return name.includes('/') || !isRepositoryName(`library/${name}`) ? name : `library/${name}`
}
