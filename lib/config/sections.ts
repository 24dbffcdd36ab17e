// The schema of the whole file: every key of distribution's configuration, in its order. A key is supported, inert (a
// warning: it has no effect here) or refused (ignoring it would let somebody in). What two keys must agree on is in
// agreement.ts; the drivers' own parameters come with the drivers.
import * as z from 'zod'
import { accessSection, authSection, tokenServiceSection } from './auth.ts'
import { healthSection } from './health.ts'
import { middlewareSection } from './middleware.ts'
import { networks } from './networks.ts'
import { notificationsSection } from './notifications.ts'
import { proxySection } from './proxy-section.ts'
import { redisSection } from './redis.ts'
import {
  choice,
  duration,
  flag,
  headers,
  httpUrl,
  integer,
  listOf,
  optional,
  orNothing,
  ours,
  pattern,
  positiveDuration,
  refused,
  repositoryPattern,
  secret,
  section,
  size,
  tagPattern,
  text,
  traits,
  type Section,
} from './schema.ts'

export type Drivers = Readonly<Record<string, Section<unknown>>>

const minute = 60_000
const hour = 60 * minute
const clientAuth = [
  'request-client-cert',
  'require-any-client-cert',
  'verify-client-cert-if-given',
  'require-and-verify-client-cert',
] as const
const levels = ['error', 'warn', 'info', 'debug'] as const
/** Storage drivers of distribution that are not, or not yet, among ours. */
export const driversElsewhere = ['gcs', 'azure']

/** The configuration, given the sections of the drivers that there are. */
export function configSchema(drivers: Drivers) {
  return z.strictObject({
    version: choice('0.1'),
    loglevel: optional(choice(...levels), undefined),
    log: logSection,
    storage: storageSection(drivers),
    auth: authSection,
    access: accessSection,
    tokenservice: tokenServiceSection,
    middleware: middlewareSection,
    http: httpSection,
    notifications: notificationsSection,
    redis: redisSection,
    health: healthSection,
    catalog: section({ maxentries: optional(integer(), 0) }).transform(({ maxentries }) => ({
      maxentries: maxentries > 0 ? maxentries : 1000,
    })),
    tags: section({ maxtags: optional(integer(0), 0) }).transform(({ maxtags }) => ({
      maxtags: maxtags || 1000,
    })),
    proxy: proxySection,
    validation: validationSection,
    policy: policySection,
  })
}

export type ParsedConfig = z.output<ReturnType<typeof configSchema>>

const mailHook = z
  .strictObject({
    disabled: optional(flag, false),
    type: choice('mail'),
    levels: listOf(choice('panic', 'fatal', ...levels)),
    options: section({
      smtp: section({
        addr: optional(text, ''),
        username: optional(text, ''),
        password: optional(secret, ''),
        insecure: optional(flag, false),
      }),
      from: optional(text, ''),
      to: listOf(text),
    }),
  })
  .transform(({ disabled, levels: of, options }) => (disabled ? undefined : { levels: of, ...options }))
  .register(traits, { aliases: { mailoptions: 'options' } })

const logSection = section({
  level: optional(choice(...levels), undefined),
  formatter: optional(choice('text', 'json', 'logstash'), 'text'),
  fields: optional(z.record(z.string(), text), {}),
  accesslog: section({
    disabled: optional(flag, false),
    format: optional(choice('combined', 'json'), 'combined'),
  }),
  reportcaller: optional(flag, false),
  hooks: listOf(mailHook),
}).transform(({ hooks, ...rest }) => ({ ...rest, hooks: hooks.filter(hook => hook !== undefined) }))

function storageSection(drivers: Drivers) {
  const names = Object.keys(drivers)
  const own = Object.fromEntries(names.map(name => [name, drivers[name]?.schema.optional()]))
  const unsupported = refused(`one of ${names.join(', ')}: this storage driver is not supported`, isAbsent)
  const keys = z.strictObject({
    ...Object.fromEntries(driversElsewhere.map(name => [name, unsupported])),
    ...own,
    delete: section({ enabled: optional(flag, false) }),
    redirect: section({ disable: optional(flag, false) }),
    cache: cacheSection,
    maintenance: section({
      readonly: section({ enabled: optional(flag, false) }),
      uploadpurging: uploadPurgingSection,
      garbagecollect: ours(garbageCollectSection),
      scrub: ours(scrubSection),
    }),
    tag: section({ concurrencylimit: optional(integer(0), 0) }).transform(({ concurrencylimit }) => ({
      concurrencylimit: concurrencylimit > 0 ? concurrencylimit : undefined,
    })),
  })
  return z
    .preprocess(input => withDriverMaps(input, names), keys)
    .register(traits, { open: true, strict: true, shorthand: 'a driver without parameters' })
}

/** The old name of `blobdescriptor` is `layerinfo`. A cache in Redis is none here; load.ts warns of it. */
const cacheSection = section({
  blobdescriptor: optional(choice('inmemory', 'redis'), undefined),
  layerinfo: optional(choice('inmemory', 'redis'), undefined),
  blobdescriptorsize: optional(integer(), 10_000),
}).transform(({ blobdescriptor, layerinfo, blobdescriptorsize }) => ({
  blobdescriptor: (blobdescriptor ?? layerinfo) === 'inmemory' ? ('inmemory' as const) : undefined,
  blobdescriptorsize: Math.max(0, blobdescriptorsize),
}))

const uploadPurgingSection = section({
  enabled: optional(flag, true),
  age: optional(positiveDuration, 168 * hour),
  interval: optional(positiveDuration, 24 * hour),
  dryrun: optional(flag, false),
}).transform(({ enabled, age, interval, dryrun }) => ({ enabled, ageMs: age, intervalMs: interval, dryrun }))

/** Ours, like scrub; distribution has neither. */
const garbageCollectSection = section({
  enabled: optional(flag, false),
  interval: optional(positiveDuration, 24 * hour),
  untagged: optional(flag, false),
  grace: optional(positiveDuration, hour),
}).transform(({ interval, grace, ...rest }) => ({ ...rest, intervalMs: interval, graceMs: grace }))

const scrubSection = section({
  enabled: optional(flag, false),
  interval: optional(positiveDuration, 168 * hour),
  rate: optional(
    size.refine(bytes => bytes > 0, 'a size such as 20MB'),
    20_000_000,
  ),
}).transform(({ enabled, interval, rate }) => ({ enabled, intervalMs: interval, rateBytes: rate }))

/** TLS is on with a certificate; agreement.ts sees to it that the key is there, too. */
const tlsSection = section({
  certificate: optional(text, ''),
  key: optional(text, ''),
  minimumtls: optional(choice('', 'tls1.2', 'tls1.3'), ''),
  ciphersuites: listOf(text),
  clientcas: listOf(text),
  clientauth: optional(choice('', ...clientAuth), ''),
  letsencrypt: section({
    cachefile: optional(text, ''),
    email: optional(text, ''),
    hosts: listOf(text),
    directoryurl: orNothing(httpUrl),
  }),
}).transform(({ certificate, key, minimumtls, ciphersuites, clientcas, clientauth, letsencrypt }) => {
  const { cachefile, ...acme } = letsencrypt
  if (certificate === '' && cachefile === '') return undefined
  const source =
    certificate === ''
      ? { letsencrypt: { directory: cachefile, ...acme } }
      : { letsencrypt: undefined, certificate, key }
  return {
    ...source,
    minimumtls: minimumtls || ('tls1.2' as const),
    ciphersuites,
    clientcas,
    clientauth:
      clientcas.length === 0 ? undefined : clientauth || ('require-and-verify-client-cert' as const),
  }
})

const httpSection = section({
  addr: optional(text, ''),
  net: optional(choice('', 'tcp', 'unix'), ''),
  host: orNothing(httpUrl),
  prefix: optional(text, ''),
  secret: orNothing(secret),
  // load.ts has put what the file says in the place of `secret`.
  secretfile: ours(orNothing(text)),
  relativeurls: optional(flag, false),
  draintimeout: optional(duration, 0),
  headers: optional(headers, {}),
  tls: tlsSection,
  debug: section({
    addr: orNothing(text),
    prometheus: section({ enabled: optional(flag, false), path: optional(text, '') }).transform(
      ({ enabled, path }) => ({ enabled, path: path === '' ? '/metrics' : path.replace(/^\/*/, '/') }),
    ),
  }),
  http2: section({ disabled: optional(flag, false) }),
  h2c: section({ enabled: optional(flag, false) }),
  trustedproxies: ours(optional(networks, undefined)),
}).transform(({ net, prefix, draintimeout, secretfile: _, ...rest }) => ({
  ...rest,
  net: net === '' ? ('tcp' as const) : net,
  prefix: prefix.replace(/^\/*(.*?)\/*$/, (_, path: string) => (path === '' ? '' : `/${path}/`)),
  draintimeoutMs: Math.max(0, draintimeout),
}))

/** `enabled` is the older switch, and wins over `disabled`. */
const validationSection = section({
  enabled: optional(flag, false),
  disabled: optional(flag, false),
  manifests: section({
    urls: section({ allow: listOf(pattern), deny: listOf(pattern) }),
    indexes: section({
      platforms: optional(choice('', 'all', 'none', 'list'), ''),
      platformlist: listOf(section({ architecture: optional(text, ''), os: optional(text, '') })),
    }).transform(({ platforms, platformlist }) => ({ platforms: platforms || 'all', platformlist })),
  }),
}).transform(({ enabled, disabled, manifests }) => ({ disabled: disabled && !enabled, manifests }))

/** `tags` is ours; distribution has none: a misspelt key would leave tags unprotected. A rule that is only a pattern counts in every repository. */
const policySection = section({
  repository: section({ classes: listOf(choice('image', 'plugin')) }),
  tags: ours(
    section({
      immutable: listOf(
        z
          .preprocess(
            input => (typeof input === 'string' ? { tags: input } : input),
            z.strictObject({
              repository: optional(repositoryPattern, undefined),
              tags: listOf(tagPattern).refine(tags => tags.length > 0, 'a pattern such as v*'),
            }),
          )
          .register(traits, { shorthand: 'tags, in every repository' }),
      ),
    }),
  ),
}).transform(({ repository, tags }) => ({ classes: repository.classes, tags }))

/** `storage: inmemory` is short for `storage: { inmemory: {} }`, and so is `storage: { inmemory: }`. */
function withDriverMaps(input: unknown, names: readonly string[]): unknown {
  if (typeof input === 'string' && input !== '') return { [input]: {} }
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input ?? {}
  const isEmptyDriver = (key: string, value: unknown) => value === null && names.includes(key)
  return Object.fromEntries(
    Object.entries(input).map(([key, value]) => [key, isEmptyDriver(key, value) ? {} : value]),
  )
}

function isAbsent(input: unknown): boolean {
  return input === undefined
}
