// From configuration to credentials: what an upstream's operator writes down, and the source that it means.
import type { Dispatcher } from 'undici'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../log.ts'
import { byPrefix } from './by-prefix.ts'
import type { CredentialSource } from './credential-source.ts'
import { ecrCredentials, ecrRegion } from './ecr.ts'
import { fileCredentials } from './from-files.ts'
import { googleCredentials } from './google.ts'
import { helperCredentials } from './helper.ts'
import { staticCredentials } from './static.ts'

/** `prefix`: for repositories below it only (whole components); without it, for all others. */
export type CredentialOptions = { readonly prefix?: string | undefined } & (
  StaticOptions | FileOptions | HelperProgramOptions | EcrRegistryOptions | GoogleAccountOptions
)

interface StaticOptions {
  readonly kind: 'static'
  readonly username: string
  readonly password: string
}

interface FileOptions {
  readonly kind: 'file'
  /** One of the two. */
  readonly username?: string | undefined
  readonly usernameFile?: string | undefined
  readonly passwordFile: string
}

interface HelperProgramOptions {
  readonly kind: 'helper'
  readonly command: string
  readonly serverUrl: string
  /** Milliseconds; undefined keeps an answer until it is refused, 0 keeps none. */
  readonly lifetimeMs?: number | undefined
}

interface EcrRegistryOptions {
  readonly kind: 'ecr'
  /** Default: the one in the name of the upstream's host. */
  readonly region?: string | undefined
  /** Both, or neither: then as the AWS SDK finds them. */
  readonly accessKeyId?: string | undefined
  readonly secretAccessKey?: string | undefined
  /** Beside the two, for temporary keys. */
  readonly sessionToken?: string | undefined
  readonly endpoint?: URL | undefined
}

interface GoogleAccountOptions {
  readonly kind: 'google'
  readonly keyFile?: string | undefined
  readonly metadataUrl?: URL | undefined
}

export interface CredentialDeps {
  /** Name of the upstream. */
  readonly upstream: string
  /** Where the upstream is. */
  readonly url: URL
  /** For helper programs: their whole environment. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whose connections lead to token_uri of a Google key. Default undici's global ones. */
  readonly dispatcherFor?: ((url: URL) => Dispatcher) | undefined
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * One source for all that is configured, undefined for an empty list. Reads and asks nothing yet. Throws TypeError
 * for what cannot be meant: two for one prefix, keys by halves, ECR in no region.
 */
export function createCredentialSource(
  list: readonly CredentialOptions[],
  deps: CredentialDeps,
): CredentialSource | undefined {
  const sources = list.map(options => ({ prefix: options.prefix ?? '', source: toSource(options, deps) }))
  const [fallback, ...others] = sources.filter(({ prefix }) => prefix === '')
  if (others.length > 0) {
    throw new TypeError(`Cannot use credentials for "${deps.upstream}": several without a prefix`)
  }
  const prefixed = sources.filter(({ prefix }) => prefix !== '')
  return prefixed.length === 0 ? fallback?.source : byPrefix(prefixed, fallback?.source)
}

function toSource(options: CredentialOptions, deps: CredentialDeps): CredentialSource {
  switch (options.kind) {
    case 'static':
      return staticCredentials({ username: options.username, password: options.password })
    case 'file':
      return fromFiles(options, deps)
    case 'helper':
      return helperCredentials({ ...deps, ...options })
    case 'ecr':
      return fromEcr(options, deps)
    case 'google':
      return googleCredentials({ ...deps, ...options })
  }
  options satisfies never
}

function fromFiles(
  { username, usernameFile, passwordFile }: FileOptions,
  deps: CredentialDeps,
): CredentialSource {
  const name = username ?? (usernameFile === undefined ? undefined : { file: usernameFile })
  if (name === undefined || (username !== undefined && usernameFile !== undefined)) {
    throw new TypeError(`Cannot use credentials for "${deps.upstream}": need either user name or its file`)
  }
  return fileCredentials({ ...deps, username: name, passwordFile })
}

function fromEcr(options: EcrRegistryOptions, deps: CredentialDeps): CredentialSource {
  const { accessKeyId, secretAccessKey, sessionToken, endpoint } = options
  const { upstream, url } = deps
  const region = options.region ?? ecrRegion(url.hostname)
  if (region === undefined) {
    throw new TypeError(`Cannot use Amazon ECR for "${upstream}": no region, and none in "${url.hostname}"`)
  }
  if ((accessKeyId === undefined) !== (secretAccessKey === undefined)) {
    throw new TypeError(`Cannot use Amazon ECR for "${upstream}": need both keys or none`)
  }
  const keys =
    accessKeyId === undefined || secretAccessKey === undefined
      ? undefined
      : { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) }
  return ecrCredentials({ ...deps, region, keys, endpoint })
}
