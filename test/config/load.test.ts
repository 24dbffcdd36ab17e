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
    log: { level: 'info', formatter: 'text', fields: {}, accesslog: { disabled: false } },
    storage: {
      driver: { name: 'inmemory', parameters: {} },
      delete: { enabled: false },
      redirect: { disable: false },
      cache: { blobdescriptor: undefined, blobdescriptorsize: 10_000 },
      maintenance: {
        readonly: { enabled: false },
        uploadpurging: { enabled: true, ageMs: 168 * hour, intervalMs: 24 * hour, dryrun: false },
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
    },
    proxy: undefined,
    validation: {
      disabled: false,
      manifests: { urls: { allow: [], deny: [] }, indexes: { platforms: 'all', platformlist: [] } },
    },
    policy: { tags: { immutable: [] } },
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
  accesslog: {disabled: on}
storage:
  filesystem: {rootdirectory: /data, maxthreads: 50}
  delete: {enabled: yes}
  redirect: {disable: true}
  cache: {blobdescriptor: inmemory, blobdescriptorsize: -1}
  maintenance:
    readonly: {enabled: true}
    uploadpurging: {enabled: false, age: 1h, interval: 30m, dryrun: true}
  tag: {concurrencylimit: 4}
auth: none
http:
  addr: /run/registry.sock
  net: unix
  host: https://registry.example:8443
  prefix: inner/path
  secret: "0123"
  relativeurls: true
  draintimeout: 1m30s
  headers: {X-Content-Type-Options: [nosniff], X-One: one}
  tls: {certificate: /tls/crt, key: /tls/key, minimumtls: tls1.3, letsencrypt: {hosts: []}}
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
policy: {tags: {immutable: ['v*', {repository: team/*, tags: ['/^r[0-9]+$/', stable]}]}}
catalog: {maxentries: 7}
tags: {maxtags: 8}
`

t.test('loadConfig() reads every key', async t => {
  const { config, warnings } = load(everything)
  const { proxy, http, ...rest } = config

  t.same(warnings, ['proxy.cachewritetimeout is known but not supported yet and has no effect'])
  t.same(rest, {
    version: '0.1',
    log: {
      level: 'warn',
      formatter: 'logstash',
      fields: { service: 'registry', port: '5000' },
      accesslog: { disabled: true },
    },
    storage: {
      driver: { name: 'filesystem', parameters: { rootdirectory: '/data', maxthreads: 50 } },
      delete: { enabled: true },
      redirect: { disable: true },
      cache: { blobdescriptor: 'inmemory', blobdescriptorsize: 0 },
      maintenance: {
        readonly: { enabled: true },
        uploadpurging: { enabled: false, ageMs: hour, intervalMs: hour / 2, dryrun: true },
      },
      tag: { concurrencylimit: 4 },
    },
    validation: {
      disabled: true,
      manifests: {
        urls: { allow: ['^https://a/'], deny: ['^https://b/'] },
        indexes: { platforms: 'list', platformlist: [{ architecture: 'amd64', os: 'linux' }] },
      },
    },
    policy: {
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
      tls: { certificate: '/tls/crt', key: '/tls/key', minimumtls: 'tls1.3' },
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
