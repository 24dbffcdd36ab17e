// Which hosts may be sent an upstream's password because a challenge of that upstream names their token service. A
// challenge is not beyond doubt: whoever can put one into an answer must not get the password by naming a host of theirs.
import { isIP } from 'node:net'
import { dockerHubHosts } from '../oci/docker-hub.ts'

/** Of registries whose token service is on another domain. */
const known: ReadonlyMap<string, string> = new Map(
  [...dockerHubHosts, 'dhi.io'].map(host => [host, 'auth.docker.io']),
)

/**
 * Whether a token service is on the domain of its registry: the host itself, one above or below it (`gitlab.com` for
 * `registry.gitlab.com`), or one beside it (`auth.example.com` for `registry.example.com`). Both as URL.hostname.
 */
export function isOwnTokenHost(realm: string, registry: string): boolean {
  if (realm === registry || known.get(registry) === realm) return true
  if (isAddress(realm) || isAddress(registry)) return false
  if (realm.endsWith(`.${registry}`)) return registry.includes('.')
  const parent = registry.slice(registry.indexOf('.') + 1)
  return !isShared(parent) && (realm === parent || realm.endsWith(`.${parent}`))
}

function isAddress(hostname: string): boolean {
  return hostname.startsWith('[') || isIP(hostname) !== 0
}

/** Domains below which names are given to anybody: `com`, `co.uk`, `com.au`, and those of well-known hosting services. */
function isShared(domain: string): boolean {
  return (
    !domain.includes('.') ||
    /^(?:ac|co|com|edu|go|gob|gov|ltd|me|mil|ne|net|nom|or|org|plc)\.[a-z]{2}$/.test(domain) ||
    hosting.test(domain)
  )
}

const hosting =
  /(?:^|\.)(?:amazonaws\.com|azurecr\.io|azurewebsites\.net|cloudapp\.azure\.com|pkg\.dev|run\.app|github\.io|gitlab\.io|herokuapp\.com|jfrog\.io|workers\.dev|pages\.dev|vercel\.app|netlify\.app|fly\.dev|onrender\.com)$/
