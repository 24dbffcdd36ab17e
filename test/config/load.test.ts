import { readFileSync } from 'node:fs'
import t from 'tap'
import { loadConfig } from '../../lib/config/load.ts'
import { driverSections } from '../support/driver-sections.ts'

const minimal = 'version: 0.1\nstorage: inmemory\n'
const hour = 3_600_000

function load(text: string, env: Record<string, string> = {}) {
  return loadConfig({ text, env, drivers: driverSections })
}

t.test('loadConfig() applies every default', async t => {
  const { config, warnings } = load(minimal)

  t.same(warnings, [])
  t.same(config, {
    version: '0.1',
    log: {
      level: 'info',
      formatter: 'text',
      fields: {},
      accesslog: { disabled: false, format: 'combined' },
      reportcaller: false,
      hooks: [],
    },
    storage: {
      driver: { name: 'inmemory', parameters: {} },
      delete: { enabled: false },
      redirect: { disable: false },
      cache: { blobdescriptor: undefined, blobdescriptorsize: 10_000 },
      maintenance: {
        readonly: { enabled: false },
        uploadpurging: { enabled: true, ageMs: 168 * hour, intervalMs: 24 * hour, dryrun: false },
        garbagecollect: { enabled: false, untagged: false, intervalMs: 24 * hour, graceMs: hour },
        scrub: { enabled: false, intervalMs: 168 * hour, rateBytes: 20_000_000 },
      },
      tag: { concurrencylimit: undefined },
    },
    http: {
      addr: '',
      net: 'tcp',
      prefix: '',
      relativeurls: false,
      draintimeoutMs: 0,
      headers: {},
      debug: { prometheus: { enabled: false, path: '/metrics' } },
      http2: { disabled: false },
      h2c: { enabled: false },
    },
    middleware: { storage: [] },
    notifications: {
      includereferences: false,
      mirror: false,
      endpoints: [],
      queue: { maxevents: 100_000 },
    },
    health: {
      storagedriver: { enabled: false, intervalMs: 10_000, threshold: 0 },
      file: [],
      http: [],
      tcp: [],
    },
    validation: {
      disabled: false,
      manifests: { urls: { allow: [], deny: [] }, indexes: { platforms: 'all', platformlist: [] } },
    },
    policy: { classes: [], tags: { immutable: [] } },
    catalog: { maxentries: 1000 },
    tags: { maxtags: 1000 },
  })
})

const everything = `
version: "0.1"
log:
  level: WARN
  formatter: logstash
  fields: {service: registry, port: 5000}
  accesslog: {disabled: on, format: json}
  reportcaller: true
  hooks:
    - {type: mail, levels: [error, panic], options: {smtp: {addr: "mail:25", username: u, password: p, insecure: on}, from: a@b, to: [c@d]}}
    - {type: mail, disabled: true}
storage:
  filesystem: {rootdirectory: /data, maxthreads: 50}
  delete: {enabled: yes}
  redirect: {disable: true}
  cache: {blobdescriptor: inmemory, blobdescriptorsize: -1}
  maintenance:
    readonly: {enabled: true}
    uploadpurging: {enabled: false, age: 1h, interval: 30m, dryrun: true}
  tag: {concurrencylimit: 4}
auth: {token: {realm: "https://auth/token", service: s, issuer: i, jwks: /jwks, signingalgorithms: [ES256]}}
tokenservice: {enabled: false}
middleware:
  storage:
    - {name: redirect, options: {baseurl: "https://cdn.example/"}}
    - {name: rewrite, disabled: true}
    - {name: cloudfront, options: {baseurl: "https://d.example", privatekey: /k, keypairid: K, awsregion: "a, b", updatefrenquency: 1h}}
notifications:
  events: {includereferences: true, mirror: true}
  endpoints:
    - name: one
      url: https://hook.example/
      headers: {Authorization: [Bearer x]}
      timeout: 1000000000
      threshold: 3
      backoff: 2s
      ignoredmediatypes: [a/b]
      ignore: {mediatypes: [c/d], actions: [pull]}
  queue: {directory: /queue, maxevents: 5}
health:
  storagedriver: {enabled: true, interval: 1s, threshold: 3}
  file: [{file: /down, interval: 2s, threshold: 4}]
  http: [{uri: "http://x/", headers: {A: b}, statuscode: 204, timeout: 3s}]
  tcp: [{addr: "x:1"}]
http:
  addr: /run/registry.sock
  net: unix
  host: https://registry.example:8443
  prefix: inner/path
  secret: "0123"
  relativeurls: true
  draintimeout: 1m30s
  headers: {X-Content-Type-Options: [nosniff], X-One: one}
  tls: {certificate: /tls/crt, key: /tls/key, minimumtls: tls1.3, clientcas: /ca, letsencrypt: {hosts: []}}
  http2: {disabled: true}
  trustedproxies: [loopback, 10.1.0.0/16, "::2"]
  debug: {addr: "localhost:5001", prometheus: {enabled: true, path: numbers}}
proxy:
  remoteurl: https://registry-1.docker.io
  username: somebody
  password: 00
  ttl: -1s
  cachewritetimeout: 0
  cache: {tagttl: 0s}
validation:
  disabled: true
  manifests:
    urls: {allow: ['^https://a/'], deny: '^https://b/'}
    indexes: {platforms: List, platformlist: [{architecture: amd64, os: linux}]}
policy: {repository: {classes: [image]}, tags: {immutable: ['v*', {repository: team/*, tags: ['/^r[0-9]+$/', stable]}]}}
catalog: {maxentries: 7}
tags: {maxtags: 8}
`

t.test('loadConfig() reads every key', async t => {
  const { config, warnings } = load(everything)
  const { proxy, http, ...rest } = config

  t.same(warnings, ['proxy.cachewritetimeout has no effect: a transfer lasts as long as bytes arrive'])
  t.same(rest, {
    version: '0.1',
    log: {
      level: 'warn',
      formatter: 'logstash',
      fields: { service: 'registry', port: '5000' },
      accesslog: { disabled: true, format: 'json' },
      reportcaller: true,
      hooks: [
        {
          levels: ['error', 'panic'],
          smtp: { addr: 'mail:25', username: 'u', password: 'p', insecure: true },
          from: 'a@b',
          to: ['c@d'],
        },
      ],
    },
    storage: {
      driver: { name: 'filesystem', parameters: { rootdirectory: '/data', maxthreads: 50 } },
      delete: { enabled: true },
      redirect: { disable: true },
      cache: { blobdescriptor: 'inmemory', blobdescriptorsize: 0 },
      maintenance: {
        readonly: { enabled: true },
        uploadpurging: { enabled: false, ageMs: hour, intervalMs: hour / 2, dryrun: true },
        garbagecollect: { enabled: false, untagged: false, intervalMs: 24 * hour, graceMs: hour },
        scrub: { enabled: false, intervalMs: 168 * hour, rateBytes: 20_000_000 },
      },
      tag: { concurrencylimit: 4 },
    },
    auth: {
      scheme: 'token',
      realm: 'https://auth/token',
      service: 's',
      issuer: 'i',
      jwks: '/jwks',
      autoredirect: false,
      autoredirectpath: '/auth/token',
      signingalgorithms: ['ES256'],
    },
    middleware: {
      storage: [
        { name: 'redirect', baseurl: new URL('https://cdn.example/') },
        {
          name: 'cloudfront',
          baseurl: new URL('https://d.example'),
          privatekey: '/k',
          keypairid: 'K',
          durationMs: hour / 3,
          ipfilteredby: 'none',
          awsregion: ['a', 'b'],
          updatefrequencyMs: hour,
        },
      ],
    },
    notifications: {
      includereferences: true,
      mirror: true,
      endpoints: [
        {
          name: 'one',
          disabled: false,
          url: new URL('https://hook.example/'),
          headers: { Authorization: ['Bearer x'] },
          timeoutMs: 1000,
          threshold: 3,
          backoffMs: 2000,
          ignore: { mediatypes: ['a/b', 'c/d'], actions: ['pull'] },
        },
      ],
      queue: { directory: '/queue', maxevents: 5 },
    },
    health: {
      storagedriver: { enabled: true, intervalMs: 1000, threshold: 3 },
      file: [{ file: '/down', intervalMs: 2000, threshold: 4 }],
      http: [
        {
          uri: new URL('http://x/'),
          headers: { A: ['b'] },
          statuscode: 204,
          timeoutMs: 3000,
          intervalMs: 10_000,
          threshold: 0,
        },
      ],
      tcp: [{ addr: 'x:1', intervalMs: 10_000, timeoutMs: 10_000, threshold: 0 }],
    },
    validation: {
      disabled: true,
      manifests: {
        urls: { allow: ['^https://a/'], deny: ['^https://b/'] },
        indexes: { platforms: 'list', platformlist: [{ architecture: 'amd64', os: 'linux' }] },
      },
    },
    policy: {
      classes: ['image'],
      tags: {
        immutable: [{ tags: ['v*'] }, { repository: 'team/*', tags: ['/^r[0-9]+$/', 'stable'] }],
      },
    },
    catalog: { maxentries: 7 },
    tags: { maxtags: 8 },
  })
  t.equal(http.host?.href, 'https://registry.example:8443/')
  t.same(
    { ...http, host: undefined },
    {
      addr: '/run/registry.sock',
      net: 'unix',
      host: undefined,
      prefix: '/inner/path/',
      secret: '0123',
      relativeurls: true,
      draintimeoutMs: 90_000,
      headers: { 'X-Content-Type-Options': ['nosniff'], 'X-One': ['one'] },
      tls: {
        letsencrypt: undefined,
        certificate: '/tls/crt',
        key: '/tls/key',
        minimumtls: 'tls1.3',
        ciphersuites: [],
        clientcas: ['/ca'],
        clientauth: 'require-and-verify-client-cert',
      },
      http2: { disabled: true },
      h2c: { enabled: false },
      trustedproxies: ['127.0.0.0/8', '::1/128', '10.1.0.0/16', '::2'],
      debug: { addr: 'localhost:5001', prometheus: { enabled: true, path: '/numbers' } },
    },
  )
  t.match(proxy?.upstreams, [
    {
      name: 'docker.io',
      urls: [new URL('https://registry-1.docker.io')],
      isDefault: true,
      credentials: [{ kind: 'static', username: 'somebody', password: '00' }],
      freshness: { tagttlMs: 0 },
    },
  ])
})

t.test('loadConfig() freezes the configuration to the bottom', async t => {
  const { config } = load(everything)
  const values: unknown[] = [config]
  for (const value of values) {
    if (typeof value !== 'object' || value === null || value instanceof URL) continue
    t.ok(Object.isFrozen(value), JSON.stringify(value))
    values.push(...(Object.values(value) as unknown[]))
  }
})

t.test('loadConfig() reads the same from other spellings', async t => {
  const storage = (text: string) => load(`version: 0.1\nstorage: ${text}\n`).config.storage
  const http = (text: string) => load(`${minimal}http: ${text}\n`).config.http

  t.match(storage('{inmemory: }').driver, { name: 'inmemory', parameters: {} })
  t.match(storage('{filesystem: }').driver, {
    name: 'filesystem',
    parameters: { rootdirectory: '/var/lib/registry' },
  })
  t.match(storage('{inmemory: {}, cache: {layerinfo: inmemory}}').cache, { blobdescriptor: 'inmemory' })
  t.match(storage('{inmemory: {}, delete: , maintenance: }').maintenance, {
    uploadpurging: { enabled: true },
  })
  for (const prefix of ['/', '', '//']) t.equal(http(`{prefix: "${prefix}"}`).prefix, '')
  for (const prefix of ['x', '/x', 'x/', '/x/']) t.equal(http(`{prefix: "${prefix}"}`).prefix, '/x/')
  t.equal(http('{tls: {minimumtls: tls1.3}}').tls, undefined)
  t.equal(http('{tls: {certificate: a, key: b}}').tls?.minimumtls, 'tls1.2')
  t.equal(http('{net: "", host: "", secret: "", debug: {addr: ""}}').debug.addr, undefined)
  t.equal(load(`${minimal}loglevel: debug\n`).config.log.level, 'debug')
  t.equal(load(`${minimal}loglevel: debug\nlog: {level: error}\n`).config.log.level, 'error')
  t.equal(load(`${minimal}validation: {enabled: true, disabled: true}\n`).config.validation.disabled, false)
  t.equal(load(`${minimal}catalog: {maxentries: -1}\ntags: {maxtags: 0}\n`).config.catalog.maxentries, 1000)
  t.equal(load(`${minimal}proxy: {remoteurl: "", username: x, ttl: 1h}\n`).config.proxy, undefined)
})

t.test('loadConfig() lets the environment override the file', async t => {
  const { config, warnings } = load(
    'version: 0.1\nstorage: {filesystem: {rootdirectory: /a}}\nauth: {htpasswd: {}}\n',
    {
      REGISTRY_AUTH: '',
      REGISTRY_HTTP_DRAINTIMEOUT: '10s',
      REGISTRY_PROXY_REMOTEURL: 'http://127.0.0.1:5001',
      REGISTRY_STORAGE_DELETE_ENABLED: 'true',
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/b',
      REGISTRY_STORAGE_MAINTENANCE_READONLY: '{enabled: true}',
      REGISTRY_SERVICE_PORT: '5000',
    },
  )

  t.same(warnings, ['Ignoring unrecognized environment variable REGISTRY_SERVICE_PORT'])
  t.equal(config.http.draintimeoutMs, 10_000)
  t.equal(config.proxy?.upstreams[0]?.urls[0]?.href, 'http://127.0.0.1:5001/')
  t.match(config.storage, {
    driver: { name: 'filesystem', parameters: { rootdirectory: '/b' } },
    delete: { enabled: true },
    maintenance: { readonly: { enabled: true } },
  })
})

t.test('loadConfig() takes the development configuration without a warning', async t => {
  const { config, warnings } = load(readFileSync('config-dev.yml', 'utf8'))

  t.same(warnings, [])
  t.match(config.storage.driver, { name: 'filesystem', parameters: { rootdirectory: './data' } })
  t.equal(config.proxy?.upstreams[0]?.name, 'docker.io')
})
