import t from 'tap'
import { ConfigError } from '../../lib/config/config-error.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { driverSections } from '../support/driver-sections.ts'

const minimal = 'version: 0.1\nstorage: {inmemory: {}}\n'

function load(proxy: string, env: Record<string, string> = {}) {
  const { proxy: loaded } = loadConfig({
    text: `${minimal}proxy: ${proxy}\n`,
    env,
    drivers: driverSections,
  }).config
  if (loaded === undefined) throw new Error('expected a mirror')
  return loaded
}

function problems(proxy: string): readonly string[] {
  try {
    load(proxy)
    return []
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err
    return err.problems
  }
}

const dockerHub = 'docker.io'
const minute = 60_000

t.test('loadConfig() names every bad key of the mirror at once', async t => {
  t.same(
    problems(`
  offline: perhaps
  open: 7
  reserved: ["[a"]
  upstreams:
    - {name: Bad/Name, url: "ftp://x"}
    - {name: none}
    - {url: "https://ghcr.io", tags: [{match: latest, ttl: forever}], limits: {requests: 0}, hosts: ["a/b"]}
    - {url: "https://quay.io", ecr: {reigon: x}, timeouts: {connect: 0s}}
  cache: {maxsize: huge, highwatermark: 120%, warm: [{interval: 1h}], minage: {}}
`),
    [
      'proxy.offline: found "perhaps", expected true or false',
      'proxy.open: found "7", expected true or false',
      'proxy.reserved[0]: found "[a", expected a pattern such as team/* or /^team\\/[a-z]+$/',
      'proxy.upstreams[0].name: found "Bad/Name", expected a name such as docker.io: lower-case letters, digits and . _ - between them',
      'proxy.upstreams[0].url: found "ftp://x", expected a URL that begins with http:// or https://',
      'proxy.upstreams[1].url: found nothing, expected a url, or urls',
      'proxy.upstreams[2].hosts[0]: found "a/b", expected a host such as ghcr.io or registry.example:5000',
      'proxy.upstreams[2].limits.requests: found "0", expected a whole number of at least 1',
      'proxy.upstreams[2].tags[0].ttl: found "forever", expected a duration such as 10m, or immutable',
      'proxy.upstreams[3].ecr.reigon: found an unknown key, expected "region"',
      'proxy.upstreams[3].timeouts.connect: found "0s", expected a duration longer than zero, such as 24h',
      'proxy.cache.maxsize: found "huge", expected a size such as 10GB or 512MiB',
      'proxy.cache.highwatermark: found "120%", expected a share such as 90%',
      'proxy.cache.warm[0].images: found nothing, expected an image such as docker.io/library/alpine:3',
      'proxy.cache.minage.age: found nothing, expected a duration longer than zero, such as 24h',
    ],
  )
  t.same(
    problems(
      '{upstreams: [{name: a, url: "https://x", prefixes: [p]}, {name: a, url: "https://y"}, {name: b, url: "https://z", prefixes: [p]}]}',
    ),
    [
      'proxy.upstreams: found a list, expected the name "a" for one upstream alone',
      'proxy.upstreams: found a list, expected the first component "p" in one upstream, not in a and b',
    ],
  )
  t.match(problems('{remoteurl: "https://x", upstreams: [{url: "https://y", password: {a: s3cret}}]}'), [
    'proxy.upstreams[0].password: found a hidden value, expected a string',
  ])
})

t.test('loadConfig() takes the single upstream of distribution as the default one', async t => {
  const proxy = load(
    '{remoteurl: "https://registry-1.docker.io", exec: {command: /bin/helper, lifetime: 1h}, ttl: 168h}',
  )

  t.match(proxy.upstreams, [
    {
      name: dockerHub,
      isDefault: true,
      hosts: [dockerHub, 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'],
      credentials: [{ kind: 'helper', command: '/bin/helper', lifetimeMs: 60 * minute }],
      freshness: { tagttlMs: minute, revalidate: 'first', deleted: 'pass', negativettlMs: minute / 2 },
    },
  ])
  t.match(proxy.cache, { unusedMs: 168 * 60 * minute, highwatermark: 0.95, lowwatermark: 0.85 })
  t.equal(proxy.cache.maxsizeBytes, undefined)
  t.equal(load('{remoteurl: "http://127.0.0.1:5001"}').upstreams[0]?.name, '127.0.0.1_5001')
  t.equal(load('{remoteurl: "http://[::1]:5001"}').upstreams[0]?.name, '1_5001')
  t.same(load('{remoteurl: "https://x", username: alone}').upstreams[0]?.credentials, [])
})

t.test('loadConfig() reads upstreams with all that they have', async t => {
  const proxy = load(
    `
  reserved: team/*
  upstreams:
    - url: https://ghcr.io
      urls: [https://mirror.example/ghcr]
      virtualhosts: [GHCR.example]
      prefixes: [gh]
      credentials:
        - {prefix: owner/private, username: u, passwordfile: /run/secret}
        - {ecr: , prefix: aws}
        - {google: true}
      username: me
      password: "00"
      allow: [owner/*]
      deny: /bad/
      limits: {requests: 8, queue: 9, bytespersecond: 10MB, retries: 0}
      timeouts: {connect: 1s, headers: 2s, idle: 3s}
      tls: {ca: /ca, certificate: /crt, key: /key, skipverify: yes}
      httpproxy: http://proxy:3128
      trustedhosts: [minio.internal]
      tags: [{match: nightly, ttl: 10m}]
      tagTTL: 5m
    - {url: https://registry-1.docker.io, name: hub}
  cache:
    tags: [{match: latest, ttl: 1m}, {match: 'v*.*.*', ttl: immutable}]
    maxSize: 10GB
    highWatermark: 90%
    revalidate: background
    minAge: 72h
    pins: docker.io/library/*
    warm: {images: [a, b], platforms: [linux/amd64, all], referrers: true, interval: 1h}
`
      .replace('warm: {', 'warm: [{')
      .replace('1h}', '1h}]'),
  )
  const [hub, ghcr] = proxy.upstreams

  t.match(hub, { name: 'hub', isDefault: true, hosts: [dockerHub] })
  t.match(ghcr, {
    name: 'ghcr.io',
    isDefault: false,
    urls: [new URL('https://ghcr.io'), new URL('https://mirror.example/ghcr')],
    hosts: ['ghcr.io'],
    virtualhosts: ['ghcr.example'],
    credentials: [
      { kind: 'file', prefix: 'owner/private', username: 'u', passwordFile: '/run/secret' },
      { kind: 'ecr', prefix: 'aws' },
      { kind: 'google' },
      { kind: 'static', username: 'me', password: '00' },
    ],
    limits: { requests: 8, queue: 9, bytespersecond: 10_000_000, retries: 0 },
    timeouts: { connectMs: 1000, headersMs: 2000, idleMs: 3000 },
    tls: { ca: '/ca', certificate: '/crt', key: '/key', skipverify: true },
    freshness: {
      tagttlMs: 5 * minute,
      tags: [
        { match: 'nightly', ttlMs: 10 * minute },
        { match: 'latest', ttlMs: minute },
        { match: 'v*.*.*', ttlMs: Infinity },
      ],
      revalidate: 'background',
      minage: { ageMs: 72 * 60 * minute, audit: false, except: [] },
    },
  })
  t.match(proxy.cache, { maxsizeBytes: 10e9, highwatermark: 0.9, pins: ['docker.io/library/*'] })
  t.match(proxy.cache.warm, [
    { images: ['a', 'b'], platforms: ['linux/amd64', 'all'], intervalMs: 60 * minute },
  ])
})

t.test('loadConfig() has a default upstream only where one is named', async t => {
  const defaults = (text: string) => load(text).upstreams.map(({ name, isDefault }) => [name, isDefault])

  t.same(defaults('{upstreams: [{url: "https://quay.io"}]}'), [['quay.io', false]])
  t.same(defaults('{upstreams: [{url: "https://quay.io", default: true}, {url: "https://docker.io"}]}'), [
    ['quay.io', true],
    [dockerHub, false],
  ])
  t.same(defaults('{upstreams: [{url: "https://docker.io", default: false}]}'), [[dockerHub, false]])
  t.same(defaults('{open: true}'), [])
})

t.test('loadConfig() takes parts of an upstream from the environment', async t => {
  const proxy = load('{upstreams: [{url: "https://ghcr.io", username: me}]}', {
    REGISTRY_PROXY_UPSTREAMS_0_PASSWORD: 's3cret',
    REGISTRY_PROXY_CACHE_MAXSIZE: '1GB',
  })

  t.match(proxy.upstreams[0]?.credentials, [{ kind: 'static', username: 'me', password: 's3cret' }])
  t.equal(proxy.cache.maxsizeBytes, 1e9)
})
