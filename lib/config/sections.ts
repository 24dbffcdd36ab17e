// The schema of the whole file: every key of distribution's configuration, in its order. A key is supported, inert (a
// warning: it has no effect here) or refused (ignoring it would let somebody in). What two keys must agree on is in
// agreement.ts; the drivers' own parameters come with the drivers.
import { z } from 'zod'
import { proxySection } from './proxy-section.ts'
import {
  choice,
  duration,
  flag,
  headers,
  httpUrl,
  inert,
  integer,
  isEmpty,
  listOf,
  optional,
  orNothing,
  pattern,
  positiveDuration,
  refused,
  repositoryPattern,
  secret,
  section,
  tagPattern,
  text,
  traits,
  type Section,
} from './schema.ts'

export type Drivers = Readonly<Record<string, Section<unknown>>>

const minute = 60_000
const hour = 60 * minute
const levels = ['error', 'warn', 'info', 'debug'] as const
const notOpen = 'is not supported yet, and without it everybody would be let in'
/** Storage drivers of distribution that are not, or not yet, among ours. */
export const driversElsewhere = ['s3', 's3aws', 'gcs', 'azure']

/** The configuration, given the sections of the drivers that there are. */
export function configSchema(drivers: Drivers) {
  return z.strictObject({
    version: choice('0.1'),
    loglevel: optional(choice(...levels), undefined),
    log: logSection,
    storage: storageSection(drivers),
    auth: refused(`none: authentication ${notOpen}`, isNoAuth),
    middleware: inert,
    http: httpSection,
    notifications: inert,
    redis: inert,
    health: inert,
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

const logSection = section({
  level: optional(choice(...levels), undefined),
  formatter: optional(choice('text', 'json', 'logstash'), 'text'),
  fields: optional(z.record(z.string(), text), {}),
  accesslog: section({ disabled: optional(flag, false) }),
  reportcaller: inert,
  hooks: inert,
})

function storageSection(drivers: Drivers) {
  const names = Object.keys(drivers)
  const own = Object.fromEntries(names.map(name => [name, drivers[name]?.schema.optional() ?? inert]))
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
    }),
    tag: section({ concurrencylimit: optional(integer(0), 0) }).transform(({ concurrencylimit }) => ({
      concurrencylimit: concurrencylimit > 0 ? concurrencylimit : undefined,
    })),
  })
  return z.preprocess(input => withDriverMaps(input, names), keys).register(traits, { open: true })
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

/** TLS is on with a certificate; agreement.ts sees to it that the key is there, too. */
const tlsSection = section({
  certificate: optional(text, ''),
  key: optional(text, ''),
  minimumtls: optional(choice('', 'tls1.2', 'tls1.3'), ''),
  ciphersuites: inert,
  clientcas: refused(`nothing: asking clients for certificates ${notOpen}`),
  clientauth: refused(`nothing: asking clients for certificates ${notOpen}`),
  letsencrypt: refused("nothing: obtaining certificates from Let's Encrypt is not supported yet"),
}).transform(({ certificate, key, minimumtls }) =>
  certificate === '' ? undefined : { certificate, key, minimumtls: minimumtls || 'tls1.2' },
)

const httpSection = section({
  addr: optional(text, ''),
  net: optional(choice('', 'tcp', 'unix'), ''),
  host: orNothing(httpUrl),
  prefix: optional(text, ''),
  secret: orNothing(secret),
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
  http2: inert,
  h2c: inert,
}).transform(({ net, prefix, draintimeout, http2: _http2, h2c: _h2c, ...rest }) => ({
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

/** `tags` is ours; distribution has none. A rule that is only a pattern counts in every repository. */
const policySection = section({
  repository: inert,
  tags: section({
    immutable: listOf(
      z.preprocess(
        input => (typeof input === 'string' ? { tags: input } : input),
        z.strictObject({
          repository: optional(repositoryPattern, undefined),
          tags: listOf(tagPattern).refine(tags => tags.length > 0, 'a pattern such as v*'),
        }),
      ),
    ),
  }),
}).transform(({ tags }) => ({ tags }))

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

function isNoAuth(input: unknown): boolean {
  if (typeof input !== 'object' || input === null) return isEmpty(input) || input === 'none'
  return Object.keys(input).every(scheme => scheme === 'none')
}
