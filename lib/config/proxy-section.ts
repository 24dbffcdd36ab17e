// The schema of `proxy`. distribution's single upstream (`remoteurl`, `username`, `password`, `exec`, `ttl`) and our list
// of them come out as one list. Keys below `proxy` may be written in any case (load.ts).
import * as z from 'zod'
import { credentialKeys, credentialOf, credentialsOnly } from './credential-keys.ts'
import { dockerHubHosts } from '../oci/docker-hub.ts'
import { RegistryError } from '../oci/errors.ts'
import { parseImageReference } from '../oci/image-reference.ts'
import { parsePlatform } from '../oci/platform.ts'
import { isRepositoryName } from '../oci/repository-name.ts'
import type { CacheConfig, FreshnessConfig, ProxyConfig, UpstreamConfig } from './proxy-config.ts'
import {
  checkedButInert,
  choice,
  duration,
  flag,
  httpUrl,
  integer,
  listOf,
  optional,
  orNothing,
  ours,
  piece,
  positiveDuration,
  repositoryPattern,
  section,
  size,
  tagPattern,
  text,
  traits,
} from './schema.ts'
import { parseDuration } from './units.ts'

const minute = 60_000
const hour = 60 * minute

const upstreamName = piece(
  'a name such as docker.io: lower-case letters, digits and . _ - between them',
  input =>
    typeof input === 'string' &&
    !input.includes('/') &&
    isRepositoryName(input) &&
    input === input.toLowerCase()
      ? input
      : undefined,
)

const hostName = piece('a host such as ghcr.io or registry.example:5000', input =>
  typeof input === 'string' && /^(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(input)
    ? input.toLowerCase()
    : undefined,
)

const share = piece('a share such as 90%', input => {
  const percent = /^(\d{1,3}(?:\.\d+)?) ?%$/.exec(typeof input === 'string' ? input : '')?.[1]
  return percent !== undefined && Number(percent) > 0 && Number(percent) <= 100
    ? Number(percent) / 100
    : undefined
})

const tagLife = piece('a duration such as 10m, or immutable', input => {
  if (input === 'immutable') return Infinity
  const milliseconds = parseDuration(typeof input === 'string' ? input : '')
  return milliseconds === undefined ? undefined : Math.max(0, milliseconds)
})

const platform = piece('a platform such as linux/arm64, or all', input =>
  typeof input === 'string' && (input === 'all' || parsePlatform(input) !== undefined) ? input : undefined,
)

const image = piece('an image such as docker.io/library/alpine:3', input =>
  typeof input === 'string' && isImageReference(input) ? input : undefined,
)

function isImageReference(text: string): boolean {
  try {
    parseImageReference(text)
    return true
  } catch (err) {
    if (err instanceof RegistryError) return false
    throw err
  }
}

/** Either `repository` or `repository:tag`, each of them a pattern. */
const imagePattern = piece('a pattern such as docker.io/library/*:1.*', input =>
  typeof input === 'string' && /^[\w.*?:@/^$()[\]|+\\-]+$/.test(input) ? input : undefined,
)

const freshnessKeys = {
  tagttl: optional(duration, undefined),
  tags: listOf(z.strictObject({ match: tagPattern, ttl: tagLife })),
  revalidate: optional(choice('first', 'background'), undefined),
  deleted: optional(choice('pass', 'serve'), undefined),
  negativettl: optional(duration, undefined),
  patience: optional(duration, undefined),
  minage: orNothing(
    z
      .preprocess(
        input => (typeof input === 'string' ? { age: input } : input),
        z.strictObject({
          age: positiveDuration,
          audit: optional(flag, false),
          except: listOf(tagPattern),
        }),
      )
      .register(traits, { shorthand: 'the age' }),
  ),
}

type FreshnessInput = z.output<z.ZodObject<typeof freshnessKeys>>

const standardFreshness: FreshnessConfig = {
  tagttlMs: minute,
  tags: [],
  revalidate: 'first',
  deleted: 'pass',
  negativettlMs: minute / 2,
  patienceMs: 1000,
  minage: undefined,
}

/** What is said here, over what is said above. An upstream's own tag rules come before the common ones. */
function freshnessOf(input: FreshnessInput, above: FreshnessConfig): FreshnessConfig {
  const { tagttl, tags, revalidate, deleted, negativettl, patience, minage } = input
  return {
    tagttlMs: tagttl === undefined ? above.tagttlMs : Math.max(0, tagttl),
    tags: [...tags.map(({ match, ttl }) => ({ match, ttlMs: ttl })), ...above.tags],
    revalidate: revalidate ?? above.revalidate,
    deleted: deleted ?? above.deleted,
    negativettlMs: negativettl === undefined ? above.negativettlMs : Math.max(0, negativettl),
    patienceMs: patience === undefined ? above.patienceMs : Math.max(0, patience),
    minage:
      minage === undefined ? above.minage : { ageMs: minage.age, audit: minage.audit, except: minage.except },
  }
}

const upstreamKeys = {
  name: optional(upstreamName, undefined),
  url: orNothing(httpUrl),
  urls: listOf(httpUrl),
  default: optional(flag, undefined),
  hosts: listOf(hostName),
  virtualhosts: listOf(hostName),
  prefixes: listOf(upstreamName),
  ...credentialKeys,
  credentials: listOf(
    z
      .strictObject({ prefix: optional(text, undefined), ...credentialKeys })
      .transform(({ prefix, ...keys }) => credentialOf(keys, prefix)),
  ),
  allow: listOf(repositoryPattern),
  deny: listOf(repositoryPattern),
  limits: section({
    requests: optional(integer(1), undefined),
    queue: optional(integer(0), undefined),
    bytespersecond: optional(size, undefined),
    retries: optional(integer(0), undefined),
  }),
  timeouts: section({
    connect: optional(positiveDuration, undefined),
    headers: optional(positiveDuration, undefined),
    idle: optional(positiveDuration, undefined),
  }).transform(({ connect, headers, idle }) => ({ connectMs: connect, headersMs: headers, idleMs: idle })),
  tls: section({
    ca: orNothing(text),
    certificate: orNothing(text),
    key: orNothing(text),
    skipverify: optional(flag, false),
  }),
  httpproxy: orNothing(httpUrl),
  trustedhosts: listOf(hostName),
  ...freshnessKeys,
}

const upstreamSection = z
  .strictObject(upstreamKeys)
  .refine(({ url, urls }) => url !== undefined || urls.length > 0, {
    message: 'a url, or urls',
    path: ['url'],
  })

type UpstreamInput = z.output<typeof upstreamSection>

function upstreamOf(input: UpstreamInput, above: FreshnessConfig, isDefault: boolean): UpstreamConfig {
  const { url, urls, hosts, virtualhosts, prefixes, allow, deny, limits, timeouts, tls } = input
  const own = credentialOf(input)
  const all = url === undefined ? urls : [url, ...urls]
  // Further URLs are of mirrors of it, which are registries with a name of their own.
  const known = all
    .slice(0, 1)
    .flatMap(({ host }) => (dockerHubHosts.includes(host) ? dockerHubHosts : [host]))
  const name = input.name ?? nameOf(all)
  return {
    name,
    urls: all,
    isDefault,
    isDockerHub: isDockerHub(input),
    hosts: [
      ...new Set([...hosts, ...known, ...(/^[a-z0-9-]+\./.test(name) && !name.includes('_') ? [name] : [])]),
    ],
    virtualhosts,
    prefixes,
    credentials: [...input.credentials, own].filter(one => one !== undefined),
    allow,
    deny,
    limits,
    timeouts,
    tls,
    httpproxy: input.httpproxy,
    trustedhosts: input.trustedhosts,
    freshness: freshnessOf(input, above),
  }
}

/** docker.io for Docker Hub, else the first host, whose port cannot be part of a repository name. */
function nameOf(urls: readonly URL[]): string {
  const host = urls[0]?.host ?? ''
  if (dockerHubHosts.includes(host)) return 'docker.io'
  return host.replaceAll(/[^a-z0-9.-]+/g, '_').replaceAll(/^_|_$/g, '')
}

const warmSection = z
  .strictObject({
    images: listOf(image).refine(images => images.length > 0, 'an image such as docker.io/library/alpine:3'),
    platforms: listOf(platform),
    referrers: optional(flag, false),
    interval: optional(positiveDuration, 6 * hour),
  })
  .transform(({ images, platforms, referrers, interval }) => ({
    images,
    platforms,
    referrers,
    intervalMs: interval,
  }))

const cacheSection = section({
  maxsize: optional(size, undefined),
  highwatermark: optional(share, 0.95),
  lowwatermark: optional(share, 0.85),
  unused: optional(positiveDuration, undefined),
  pins: listOf(imagePattern),
  warm: listOf(warmSection),
  ...freshnessKeys,
}).refine(({ highwatermark, lowwatermark }) => lowwatermark <= highwatermark, {
  message: 'a share below highwatermark',
  path: ['lowwatermark'],
})

/** With neither a `remoteurl`, nor an upstream, nor `open`, nothing is mirrored, whatever the other keys say. */
export const proxySection = section({
  remoteurl: orNothing(httpUrl),
  ...credentialKeys,
  // Of an entry since it was last asked for; distribution counts from when it was fetched.
  ttl: optional(duration, undefined),
  // A fill has no deadline.
  cachewritetimeout: checkedButInert(duration, 'a transfer lasts as long as bytes arrive'),
  offline: ours(optional(flag, false)),
  open: ours(optional(flag, false)),
  reserved: ours(listOf(repositoryPattern)),
  upstreams: ours(listOf(upstreamSection)),
  cache: ours(cacheSection),
})
  .transform((input): ProxyConfig | undefined => {
    const { remoteurl, ttl, offline, open, reserved, upstreams, cache } = input
    if (remoteurl === undefined && upstreams.length === 0 && !open) return undefined
    const freshness = freshnessOf(cache, standardFreshness)
    const defaultIndex = remoteurl === undefined ? defaultOf(upstreams) : -1
    const listed = upstreams.map((one, index) => upstreamOf(one, freshness, index === defaultIndex))
    const single =
      remoteurl === undefined
        ? []
        : [
            standingForDockerHub(
              upstreamOf({ ...withoutKeys, url: remoteurl, ...credentialsOnly(input) }, freshness, true),
              listed,
            ),
          ]
    return {
      offline,
      open,
      reserved,
      upstreams: [...single, ...listed].toSorted((a, b) => Number(b.isDefault) - Number(a.isDefault)),
      freshness,
      cache: cacheOf(cache, ttl),
    }
  })
  .superRefine((proxy, context) => {
    for (const { path, message } of proxy === undefined ? [] : clashes(proxy)) {
      context.addIssue({ code: 'custom', message, path: [...path] })
    }
  })

interface Clash {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** What two upstreams cannot both have: a request must lead to one of them. */
function* clashes({ upstreams }: ProxyConfig): Generator<Clash> {
  const path = ['upstreams']
  const names = upstreams.map(({ name }) => name)
  for (const name of new Set(names.filter((one, index) => names.indexOf(one) !== index))) {
    yield { path, message: `the name "${name}" for one upstream alone` }
  }
  const meanings = {
    'first component': (one: UpstreamConfig) => [one.name, ...one.hosts, ...one.prefixes],
    virtualhost: (one: UpstreamConfig) => one.virtualhosts,
  }
  for (const [what, valuesOf] of Object.entries(meanings)) {
    const owners = new Map<string, string>()
    for (const upstream of upstreams) {
      for (const value of new Set(valuesOf(upstream))) {
        const owner = owners.get(value)
        if (owner !== undefined && owner !== upstream.name) {
          yield {
            path,
            message: `the ${what} "${value}" in one upstream, not in ${owner} and ${upstream.name}`,
          }
        }
        owners.set(value, upstream.name)
      }
    }
  }
}

const withoutKeys: UpstreamInput = upstreamSection.parse({ url: 'https://unused.invalid' })

/**
 * distribution's single upstream takes whatever it is asked for, and containerd asks mirrors of Docker Hub with its name:
 * often it is another mirror of that.
 */
function standingForDockerHub(upstream: UpstreamConfig, others: readonly UpstreamConfig[]): UpstreamConfig {
  if (others.some(({ hosts }) => hosts.some(host => dockerHubHosts.includes(host)))) return upstream
  return { ...upstream, hosts: [...new Set([...upstream.hosts, ...dockerHubHosts])] }
}

/** The one that says so, else Docker Hub; -1 for none. */
function defaultOf(upstreams: readonly UpstreamInput[]): number {
  const marked = upstreams.findIndex(one => one.default === true)
  return marked === -1 ? upstreams.findIndex(one => one.default !== false && isDockerHub(one)) : marked
}

function isDockerHub({ url, urls, hosts }: UpstreamInput): boolean {
  const [first] = url === undefined ? urls : [url]
  return [first?.host ?? '', ...hosts].some(host => dockerHubHosts.includes(host))
}

function cacheOf(input: z.output<typeof cacheSection>, ttlMs: number | undefined): CacheConfig {
  const { maxsize, highwatermark, lowwatermark, unused, pins, warm } = input
  return {
    maxsizeBytes: maxsize === 0 ? undefined : maxsize,
    highwatermark,
    lowwatermark,
    unusedMs: unused ?? (ttlMs !== undefined && ttlMs > 0 ? ttlMs : undefined),
    pins,
    warm,
  }
}
