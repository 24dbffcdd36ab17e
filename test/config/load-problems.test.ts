import t from 'tap'
import { z } from 'zod'
import { ConfigError } from '../../lib/config/config-error.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { driverSections } from '../support/driver-sections.ts'

const minimal = 'version: 0.1\nstorage: inmemory\n'

/** The problems of a configuration; none if it loads. */
function problems(
  text: string,
  env: Record<string, string> = {},
  drivers = driverSections,
): readonly string[] {
  try {
    loadConfig({ text, env, drivers })
    return []
  } catch (err) {
    if (!(err instanceof ConfigError)) throw err
    return err.problems
  }
}

function warnings(text: string, env: Record<string, string> = {}): readonly string[] {
  return loadConfig({ text, env, drivers: driverSections }).warnings
}

t.test('loadConfig() reports every problem at once', async t => {
  const text = `
log: {level: loud, formatter: xml, fields: [a]}
storage:
  filesystem: {rootdirectry: /x, maxthreads: many}
  delete: {enabled: perhaps}
  cache: {blobdescriptor: memcached}
  maintenance: {uploadpurging: {age: 1week, interval: 0s}}
auth: {htpasswd: {realm: r, path: /p}}
http:
  addr: 5000
  host: registry.example
  draintimeout: 5x
  headers: {"X Y": [a], Z: [{}]}
  tls: {certificate: /crt}
  debug: []
proxy: {remoteurl: "ftp://me:secret@host/", ttl: 1, cache: {tagtll: 1m}}
tags: {maxtags: -1}
prox: {}
`

  t.same(problems(text, { REGISTRY_CATALOG_MAXENTRIES: 'all' }), [
    'version: found nothing, expected "0.1"',
    'log.level: found "loud", expected one of error, warn, info, debug',
    'log.formatter: found "xml", expected one of text, json, logstash',
    'log.fields: found a list, expected a map',
    'storage.filesystem.maxthreads: found "many", expected a whole number of at least 0',
    'storage.filesystem.rootdirectry: found an unknown key, expected "rootdirectory"',
    'storage.delete.enabled: found "perhaps", expected true or false',
    'storage.cache.blobdescriptor: found "memcached", expected one of inmemory, redis',
    'storage.maintenance.uploadpurging.age: found "1week", expected a duration longer than zero, such as 24h',
    'storage.maintenance.uploadpurging.interval: found "0s", expected a duration longer than zero, such as 24h',
    'auth: found a map, expected none: authentication is not supported yet, and without it everybody would be let in',
    'http.host: found "registry.example", expected a URL that begins with http:// or https://',
    'http.draintimeout: found "5x", expected a duration such as 168h or 1h30m',
    'http.headers.X Y: found "X Y", expected the name of an HTTP header',
    'http.headers.Z[0]: found a map, expected the value of an HTTP header',
    'http.debug: found a list, expected a map',
    'catalog.maxentries (REGISTRY_CATALOG_MAXENTRIES): found "all", expected a whole number',
    'tags.maxtags: found "-1", expected a whole number of at least 0',
    'proxy.remoteurl: found "ftp://host/", expected a URL that begins with http:// or https://',
    'proxy.cache.tagtll: found an unknown key, expected "tagttl"',
    'prox: found an unknown key, expected "proxy"',
    'http.addr: found "5000", expected host:port, such as :5000 or 127.0.0.1:5000',
    'http.tls.key: found nothing, expected a file, because there is a certificate',
  ])
})

t.test('ConfigError tells one problem in one line and several in a list', async t => {
  t.equal(new ConfigError(['a: b']).message, 'a: b')
  t.equal(new ConfigError(['a: b', 'c: d']).message, '2 problems\n  a: b\n  c: d')
})

t.test('loadConfig() refuses a file that is no configuration at all', async t => {
  const noDriver = 'storage: found no driver, expected exactly one of filesystem, inmemory'

  t.same(problems(''), ['version: found nothing, expected "0.1"', noDriver])
  t.same(problems('- a\n'), ['file: found a list, expected a map', noDriver])
  t.same(problems('version: 0.2\nstorage: inmemory\n'), ['version: found "0.2", expected "0.1"'])
  t.match(problems('version: ['), [/not YAML/])
})

t.test('loadConfig() refuses any number of storage drivers but one', async t => {
  const expected = 'expected exactly one of filesystem, inmemory'
  const storage = (text: string, env = {}) => problems(`version: 0.1\nstorage: ${text}\n`, env)

  t.same(storage(''), [`storage: found no driver, ${expected}`])
  t.same(storage('{delete: {enabled: true}}'), [`storage: found no driver, ${expected}`])
  t.same(storage('{filesystem: , inmemory: }'), [
    `storage: found the drivers filesystem and inmemory, ${expected}`,
  ])
  t.same(storage('inmemory', { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/x' }), [
    `storage: found the drivers filesystem and inmemory, ${expected}`,
  ])
  t.match(storage('{filesytem: {}}'), [
    'storage.filesytem: found an unknown key, expected "filesystem"',
    `storage: found no driver, ${expected}`,
  ])
  for (const text of ['s3', '{s3: {bucket: b}}', '{s3: }']) {
    t.match(
      storage(text),
      [/^storage\.s3: found .*, expected one of filesystem, inmemory: .* not supported$/],
      text,
    )
  }
})

t.test('loadConfig() refuses what would let somebody in if it were ignored', async t => {
  const cases: readonly (readonly [string, string, string, Record<string, string>])[] = [
    ['auth', 'auth: token', 'authentication is not supported yet', {}],
    ['auth', 'auth: {htpasswd: }', 'authentication is not supported yet', {}],
    ['auth', 'auth: {none: , token: {}}', 'authentication is not supported yet', {}],
    ['auth (REGISTRY_AUTH)', '', 'authentication is not supported yet', { REGISTRY_AUTH: 'silly' }],
    ['auth', '', 'authentication is not supported yet', { REGISTRY_AUTH_HTPASSWD_REALM: 'r' }],
    ['http.tls.clientcas', 'http: {tls: {clientcas: [/ca]}}', 'client', {}],
    ['http.tls.clientauth', 'http: {tls: {clientauth: request-client-cert}}', 'client', {}],
    ['http.tls.letsencrypt', 'http: {tls: {letsencrypt: {cachefile: /x}}}', 'not supported yet', {}],
    ['http.tls.letsencrypt', '', 'not supported yet', { REGISTRY_HTTP_TLS_LETSENCRYPT_CACHEFILE: '/x' }],
  ]
  for (const [path, text, why, env] of cases) {
    const [problem = '', ...rest] = problems(minimal + text, env)
    t.ok(problem.startsWith(`${path}: found `) && problem.includes(why), problem)
    t.same(rest, [])
  }
})

t.test('loadConfig() lets a file say that there is no authentication', async t => {
  for (const auth of ['', 'none', '{}', '{none: }', '{none: {}}'])
    t.same(problems(`${minimal}auth: ${auth}\n`), [], auth)
})

t.test('loadConfig() never shows a secret', async t => {
  const text = `${minimal}http: {secret: [s3cret]}\nproxy: {remoteurl: "http://u:s3cret@[x", password: {a: s3cret}}\n`
  const lines = problems(text, { REGISTRY_PROXY_TTL: 'https://u:s3cret@x/?token=s3cret' })

  t.equal(lines.length, 4)
  t.notMatch(lines.join('\n'), /s3cret/)
  t.match(lines[0], 'http.secret: found a hidden value, expected a string')
})

t.test('loadConfig() warns once of each key that has no effect', async t => {
  const text = `
version: 0.1
log: {level: info, reportcaller: true, hooks: [{type: mail}]}
storage: {inmemory: {}, cache: {blobdescriptor: redis}}
http: {http2: {disabled: true}, h2c: {enabled: true}, tls: {ciphersuites: [TLS_AES_128_GCM_SHA256]}}
notifications: {events: {includereferences: true}, endpoints: [{name: a}, {name: b}]}
redis: {addrs: []}
health: {storagedriver: {enabled: true, interval: 10s, threshold: 3}}
proxy: {cachewritetimeout: 5m}
middleware: {storage: [{name: redirect}]}
policy: {repository: {classes: [image]}}
`
  const keys = [
    ...['log.reportcaller', 'log.hooks', 'storage.cache.blobdescriptor: redis', 'middleware'],
    ...[
      'http.tls.ciphersuites',
      'http.http2',
      'http.h2c',
      'notifications',
      'health',
      'proxy.cachewritetimeout',
    ],
    'policy.repository',
  ]

  t.same(
    warnings(text),
    keys.map(key => `${key} is known but not supported yet and has no effect`),
  )
  t.same(warnings(minimal, { REGISTRY_REDIS_ADDRS: '[a]' }), [
    'redis is known but not supported yet and has no effect',
  ])
})

t.test('loadConfig() warns of a key that occurs twice', async t => {
  t.match(warnings(`${minimal}tags: {maxtags: 1, maxtags: 2}\n`), [/^line 3, column 20: a key occurs twice/])
})

t.test('loadConfig() checks with plain zod schemas of drivers as well', async t => {
  const schema = z.strictObject({
    mode: z.enum(['a', 'b']),
    size: z.string().min(3),
    list: z.array(z.string()),
  })
  const drivers = { mine: { schema } }
  const load = (parameters: string) => problems(`version: 0.1\nstorage: {mine: ${parameters}}\n`, {}, drivers)

  t.same(load('{mode: a, size: xxx, list: []}'), [])
  t.match(load('{mode: c, size: xx, list: {}, modus: a}'), [
    'storage.mine.mode: found "c", expected one of a, b',
    /^storage\.mine\.size: found "xx", expected string to have >=3 characters$/,
    'storage.mine.list: found a map, expected a list',
    'storage.mine.modus: found an unknown key, expected "mode"',
  ])
})

t.test(
  'loadConfig() refuses rules for tags that could never match, or match anything but what was meant',
  async t => {
    const rules = (immutable: string) => problems(`${minimal}policy: {tags: {immutable: ${immutable}}}\n`)

    t.same(rules("['v*', '*-release', 'v1.?', /^v\\d+$/, {repository: team/*, tags: latest}]"), [])
    t.match(rules("['v[0-9]*']"), [
      /^policy\.tags\.immutable\[0\]\.tags.*: found "v\[0-9\]\*", expected a pattern such as v\*/,
    ])
    t.match(rules('[/(/]'), [/expected a pattern such as v\*/])
    t.match(rules('["/[[:digit:]]/"]'), [/expected a pattern such as v\*/])
    t.match(rules('[{repository: "a b", tags: ["*"]}]'), [
      /repository: found "a b", expected a pattern such as team\/\*/,
    ])
    t.match(rules('[{repository: team/*}]'), [/tags: found nothing, expected a pattern such as v\*/])
    t.match(rules('[{repositories: team/*, tags: ["*"]}]'), [
      /repositories: found an unknown key, expected "repository"/,
    ])
  },
)
