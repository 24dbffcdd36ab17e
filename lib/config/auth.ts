// Who may use the registry: the keys `auth` (distribution's), `access` and `tokenservice` (ours).
import * as z from 'zod'
import {
  choice,
  flag,
  httpUrl,
  isEmpty,
  listOf,
  optional,
  orNothing,
  ours,
  piece,
  positiveDuration,
  repositoryPattern,
  section,
  text,
  traits,
} from './schema.ts'

export type AuthConfig = SillyAuthConfig | HtpasswdAuthConfig | TokenAuthConfig

/** Lets in whoever says anything: for trying clients out. */
export interface SillyAuthConfig {
  readonly scheme: 'silly'
  readonly realm: string
  readonly service: string
}

export interface HtpasswdAuthConfig {
  readonly scheme: 'htpasswd'
  readonly realm: string
  /** Of the file with names and bcrypt hashes. */
  readonly path: string
}

export interface TokenAuthConfig {
  readonly scheme: 'token'
  /** Where clients fetch tokens; with `autoredirect` taken from each request. */
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** Path of a PEM file: certificates whose keys, or whose issued certificates' keys, sign tokens. */
  readonly rootcertbundle: string | undefined
  /** Path of a JWKS file. One of both is there. */
  readonly jwks: string | undefined
  readonly autoredirect: boolean
  /** /auth/token. */
  readonly autoredirectpath: string
  readonly signingalgorithms: readonly SigningAlgorithm[]
}

export const signingAlgorithms = [
  'EdDSA',
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
] as const
export type SigningAlgorithm = (typeof signingAlgorithms)[number]

/** One line of the access list: what it lets whom do. What no line lets somebody do is refused. */
export interface AccessRuleConfig {
  /**
   * Who: a user name, `*` for everybody who has proved who they are, `anonymous` for everybody whoever they are, or
   * `cert:<common name>` (patterns with `*`) for clients with a certificate.
   */
  readonly principals: readonly string[]
  /** Patterns, see name-pattern.ts; `{user}` stands for the caller's name. */
  readonly repositories: readonly string[]
  readonly actions: readonly AccessAction[]
}
export const accessActions = ['pull', 'push', 'delete'] as const
export type AccessAction = (typeof accessActions)[number]

/** The token service of our own, for the users of htpasswd; undefined: none. */
export interface TokenServiceConfig {
  /** Name in the tokens (`iss`); entrepot. */
  readonly issuer: string
  /** The audience; the registry's name, entrepot. */
  readonly service: string
  /** Path it is served under on the main listener; /auth/token. Keys are at `<path>/jwks.json`. */
  readonly path: string
  /** What clients are told; undefined: the request's own origin and `path`. */
  readonly realm: URL | undefined
  /** Directory that the signing keys are kept in; undefined: new ones at each start. */
  readonly keys: string | undefined
  /** Life of an access token; 5m. */
  readonly expiryMs: number
  /** Life of a refresh token; 720h. */
  readonly refreshExpiryMs: number
  /** Time until a new key signs; 720h. The old one is published until what it signed has expired. */
  readonly rotationMs: number
}

const minute = 60_000
const hour = 60 * minute
const name = piece('a name', input => (typeof input === 'string' && input !== '' ? input : undefined))

/** What stands after a host where clients send their passwords: nothing of it may make that another host. */
const urlPath = piece('a path such as /auth/token', input =>
  typeof input === 'string' && /^(?:\/[\w.~-]+)+$/.test(input) ? input : undefined,
)

/** Nor may it take the place of the registry itself. */
const pathBesideRegistry = piece('a path such as /auth/token, not below /v2', input => {
  const path = urlPath.safeParse(input).data
  return path === '/v2' || path?.startsWith('/v2/') === true ? undefined : path
})

const principal = piece('a user, *, anonymous or cert:name', input => {
  const written = name.safeParse(input).data
  const expression = /^cert:(\/.+\/)$/.exec(written ?? '')?.[1]
  return expression === undefined || repositoryPattern.safeParse(expression).success ? written : undefined
})

/** The caller's name is put in when it is known. */
const personalPattern = piece('a pattern such as team/* or {user}/*', input =>
  typeof input === 'string' && repositoryPattern.safeParse(input.replaceAll('{user}', 'user')).success
    ? input
    : undefined,
)

const schemes = {
  silly: z.strictObject({ realm: name, service: name }),
  htpasswd: z.strictObject({ realm: name, path: name }),
  token: z
    .strictObject({
      realm: orNothing(text),
      service: name,
      issuer: name,
      rootcertbundle: orNothing(text),
      jwks: orNothing(text),
      autoredirect: optional(flag, false),
      autoredirectpath: optional(urlPath, '/auth/token'),
      signingalgorithms: listOf(choiceOfCase(signingAlgorithms)),
    })
    .superRefine(({ realm, autoredirect, rootcertbundle, jwks }, context) => {
      const missing = (path: string, message: string) =>
        context.addIssue({ code: 'custom', path: [path], message })
      if (realm === undefined && !autoredirect) missing('realm', 'the URL of a token service')
      if ((rootcertbundle ?? jwks) === undefined)
        missing('rootcertbundle', 'a file with keys, here or in jwks')
    }),
}

/**
 * `none`, nothing, or one of the schemes. A misspelt scheme is an error, as it would leave the door open; within a scheme
 * an unknown key is only ignored, as what keeps people out there is required.
 */
export const authSection = z
  .preprocess(
    withoutNone,
    optional(
      z
        .strictObject({
          none: z.unknown().optional().register(traits, { open: true }),
          silly: schemes.silly.optional(),
          htpasswd: schemes.htpasswd.optional(),
          token: schemes.token.optional(),
        })
        .superRefine((given, context) => {
          const names = Object.keys(given).filter(scheme => scheme !== 'none')
          if (names.length > 1)
            context.addIssue({ code: 'custom', message: `one scheme, not ${names.join(' and ')}` })
        })
        .transform(toAuth),
      undefined,
    ),
  )
  .register(traits, { strict: true, shorthand: 'a scheme without parameters, such as none' })

type Given = {
  readonly silly?: z.output<typeof schemes.silly> | undefined
  readonly htpasswd?: z.output<typeof schemes.htpasswd> | undefined
  readonly token?: z.output<typeof schemes.token> | undefined
}

function toAuth({ silly, htpasswd, token }: Given): AuthConfig | undefined {
  if (silly !== undefined) return { scheme: 'silly', ...silly }
  if (htpasswd !== undefined) return { scheme: 'htpasswd', ...htpasswd }
  if (token === undefined) return undefined
  const { realm = '', signingalgorithms, ...rest } = token
  const algorithms = signingalgorithms.length === 0 ? signingAlgorithms : signingalgorithms
  return { scheme: 'token', ...rest, realm, signingalgorithms: algorithms }
}

/** `auth: htpasswd` alone is that scheme without parameters, which then says what is missing. */
function withoutNone(input: unknown): unknown {
  if (isEmpty(input) && (typeof input !== 'object' || input === null || Object.keys(input).length === 0))
    return undefined
  if (typeof input === 'string') return input === 'none' ? undefined : { [input]: {} }
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input
  const schemes = Object.entries(input).filter(([scheme]) => scheme !== 'none')
  return schemes.length === 0
    ? undefined
    : Object.fromEntries(schemes.map(([scheme, value]) => [scheme, (value as unknown) ?? {}]))
}

/** A list with at least one entry. */
function some<T>(value: z.ZodType<T>, expected: string): z.ZodType<T[]> {
  return listOf(value).refine(values => values.length > 0, expected)
}

/** Below here nothing is distribution's: a misspelt key is an error, as it may let somebody in. */
export const accessSection = ours(
  optional(
    listOf(
      z
        .strictObject({
          principal: some(principal, 'a user, *, anonymous or cert:name'),
          repository: some(personalPattern, 'a pattern such as team/*'),
          actions: some(choice(...accessActions, '*'), 'pull, push, delete or *'),
        })
        .transform(({ principal, repository, actions }): AccessRuleConfig => ({
          principals: principal,
          repositories: repository,
          actions: actions.includes('*') ? accessActions : actions.filter(action => action !== '*'),
        })),
    ),
    undefined,
  ),
)

export const tokenServiceSection = ours(
  section({
    enabled: optional(flag, false),
    issuer: optional(text, 'entrepot'),
    service: optional(text, 'entrepot'),
    path: optional(pathBesideRegistry, '/auth/token'),
    realm: orNothing(httpUrl),
    keys: orNothing(text),
    expiry: optional(positiveDuration, 5 * minute),
    refreshexpiry: optional(positiveDuration, 720 * hour),
    rotation: optional(positiveDuration, 720 * hour),
  }).transform(({ enabled, expiry, refreshexpiry, rotation, ...rest }): TokenServiceConfig | undefined =>
    enabled ? { ...rest, expiryMs: expiry, refreshExpiryMs: refreshexpiry, rotationMs: rotation } : undefined,
  ),
)

/** Words whose case counts. */
function choiceOfCase<const W extends string>(words: readonly W[]): z.ZodType<W> {
  return piece(`one of ${words.join(', ')}`, input => words.find(word => word === input), {
    kind: { is: 'choice', words },
  })
}
