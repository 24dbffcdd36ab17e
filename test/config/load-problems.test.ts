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
auth: {htpasswd: {realm: r}, tokn: {}}
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
    'storage.delete.enabled: found "perhaps", expected true or false',
    'storage.cache.blobdescriptor: found "memcached", expected one of inmemory, redis',
    'storage.maintenance.uploadpurging.age: found "1week", expected a duration longer than zero, such as 24h',
    'storage.maintenance.uploadpurging.interval: found "0s", expected a duration longer than zero, such as 24h',
    'auth.htpasswd.path: found nothing, expected a name',
    'auth.tokn: found an unknown key, expected "token"',
    'http.host: found "registry.example", expected a URL that begins with http:// or https://',
    'http.draintimeout: found "5x", expected a duration such as 168h or 1h30m',
    'http.headers.X Y: found "X Y", expected the name of an HTTP header',
    'http.headers.Z[0]: found a map, expected the value of an HTTP header',
    'http.debug: found a list, expected a map',
    'catalog.maxentries (REGISTRY_CATALOG_MAXENTRIES): found "all", expected a whole number',
    'tags.maxtags: found "-1", expected a whole number of at least 0',
    'proxy.remoteurl: found "ftp://host/", expected a URL that begins with http:// or https://',
    'proxy.cache.tagtll: found an unknown key, expected "tagttl"',
    'http.addr: found "5000", expected host:port, such as :5000 or 127.0.0.1:5000',
    'http.tls.key: found nothing, expected a file, because there is a certificate',
    'storage.filesystem.rootdirectry: found an unknown key, expected "rootdirectory"; it is ignored',
    'prox: found an unknown key, expected "proxy"; it is ignored',
  ])
})

t.test('ConfigError tells one problem in one line and several in a list', async t => {
  t.equal(new ConfigError(['a: b']).message, 'a: b')
  t.equal(new ConfigError(['a: b', 'c: d']).message, '2 problems\n  a: b\n  c: d')
})

t.test('loadConfig() refuses a file that is no configuration at all', async t => {
  const noDriver = 'storage: found no driver, expected exactly one of filesystem, inmemory, s3, s3aws'

  t.same(problems(''), ['version: found nothing, expected "0.1"', noDriver])
  t.same(problems('- a\n'), ['file: found a list, expected a map', noDriver])
  t.same(problems('version: 0.2\nstorage: inmemory\n'), ['version: found "0.2", expected "0.1"'])
  t.match(problems('version: ['), [/not YAML/])
})

t.test('loadConfig() refuses any number of storage drivers but one', async t => {
  const expected = 'expected exactly one of filesystem, inmemory, s3, s3aws'
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
  for (const text of ['gcs', '{gcs: {bucket: b}}', '{gcs: }']) {
    t.match(
      storage(text),
      [/^storage\.gcs: found .*, expected one of filesystem, inmemory, s3, s3aws: .* not supported$/],
      text,
    )
  }
})

t.test('loadConfig() ignores unknown keys of distribution, and warns', async t => {
  const text = `
version: 0.1
storage: {filesystem: {rootdirectry: /x}, cache: {size: 1}}
http: {adr: ":5000", tls: {clientca: /ca}, headers: {X-Any: [a]}}
health: {file: [{file: /a, fil: /b}]}
middleware: {storage: [{name: redirect, options: {baseurl: "https://x", basurl: y}}]}
auth: {htpasswd: {realm: r, path: /p, pth: /q}}
redis: {adrs: [a]}
proxy: {passwrd: p}
x-defaults: {}
`
  const known =
    'access, auth, catalog, health, http, log, loglevel, middleware, notifications, policy, proxy, redis, storage, tags, tokenservice, validation, version'

  t.same(warnings(text, { REGISTRY_STORAGE_FILESYSTEM_ROOT: '/x' }), [
    ...[
      'storage.filesystem.rootdirectry: found an unknown key, expected "rootdirectory"',
      'storage.filesystem.root (REGISTRY_STORAGE_FILESYSTEM_ROOT): found an unknown key, expected one of maxthreads, rootdirectory',
      'storage.cache.size: found an unknown key, expected one of blobdescriptor, blobdescriptorsize, layerinfo',
      'http.adr: found an unknown key, expected "addr"',
      'http.tls.clientca: found an unknown key, expected "clientcas"',
      'health.file[0].fil: found an unknown key, expected "file"',
      'middleware.storage[0].options.basurl: found an unknown key, expected "baseurl"',
      'auth.htpasswd.pth: found an unknown key, expected "path"',
      'redis.adrs: found an unknown key, expected "addrs"',
      'proxy.passwrd: found an unknown key, expected "password"',
      `x-defaults: found an unknown key, expected one of ${known}`,
    ].map(line => `${line}; it is ignored`),
  ])
  t.throws(
    () =>
      loadConfig({ text: `${minimal}logs: {}\n`, env: {}, drivers: driverSections, unknownKeys: 'problem' }),
    { message: /logs: found an unknown key, expected "log"/ },
  )
})

t.test('loadConfig() refuses unknown keys where ignoring them would do harm', async t => {
  const cases: readonly (readonly [text: string, path: string, meant: string])[] = [
    ['acces: []', 'acces', 'access'],
    ['Access: []', 'Access', 'access'],
    ['auth: {htpaswd: {realm: r}}', 'auth.htpaswd', 'htpasswd'],
    [
      'access: [{principal: anonymous, repository: a, action: pull, actions: pull}]',
      'access[0].action',
      'actions',
    ],
    ['tokenservice: {expry: 1h}', 'tokenservice.expry', 'expiry'],
    ['proxy: {ofline: true}', 'proxy.ofline', 'offline'],
    ['proxy: {upstreams: [{url: "https://x", alow: a}]}', 'proxy.upstreams[0].alow', 'allow'],
    ['proxy: {cache: {pin: a}}', 'proxy.cache.pin', 'pins'],
    ['policy: {tags: {imutable: v*}}', 'policy.tags.imutable', 'immutable'],
    ['notifications: {queue: {maxevent: 1}}', 'notifications.queue.maxevent', 'maxevents'],
    ['http: {trustedproxy: loopback}', 'http.trustedproxy', 'trustedproxies'],
  ]
  for (const [text, path, meant] of cases)
    t.same(problems(`${minimal}${text}\n`), [`${path}: found an unknown key, expected "${meant}"`], text)
})

t.test('loadConfig() refuses keys that disagree', async t => {
  const cases: readonly (readonly [text: string, path: string, expected: RegExp])[] = [
    ['auth: token', 'auth.token.service', /a name$/],
    [
      'auth: {htpasswd: {realm: r, path: p}, silly: {realm: r, service: s}}',
      'auth',
      /one scheme, not silly and/,
    ],
    ['http: {tls: {key: /k}}', 'http.tls.certificate', /because there is a key/],
    ['http: {tls: {clientcas: [/ca]}}', 'http.tls.clientcas', /no TLS without a certificate/],
    [
      'http: {tls: {certificate: /c, key: /k, letsencrypt: {cachefile: /x, hosts: [a]}}}',
      'http.tls.letsencrypt.cachefile',
      /because there is a certificate/,
    ],
    ['http: {tls: {letsencrypt: {cachefile: /x}}}', 'http.tls.letsencrypt.hosts', /the names/],
    ['http: {tls: {ciphersuites: [TLS_RSA_WITH_RC4_128_SHA]}}', 'http.tls.ciphersuites[0]', /a cipher suite/],
    ['http: {trustedproxies: [10.0.0.0/33]}', 'http.trustedproxies[0]', /loopback or private/],
    ['tokenservice: {enabled: true}', 'tokenservice.enabled', /auth\.htpasswd/],
    ['tokenservice: {path: auth/token}', 'tokenservice.path', /\/auth\/token/],
    ['tokenservice: {path: "@elsewhere.example/"}', 'tokenservice.path', /\/auth\/token/],
    ['tokenservice: {path: /v2/}', 'tokenservice.path', /\/auth\/token/],
    ['tokenservice: {path: /v2/token}', 'tokenservice.path', /\/auth\/token/],
    [
      'auth: {token: {service: s, issuer: i, jwks: j, autoredirect: true, autoredirectpath: .example/token}}',
      'auth.token.autoredirectpath',
      /\/auth\/token/,
    ],
    [
      'access: [{principal: anonymous, repository: "/(/", actions: pull}]',
      'access[0].repository[0]',
      /pattern/,
    ],
    [
      'access: [{principal: anonymous, repository: ["a", "^b$"], actions: pull}]',
      'access[0].repository[1]',
      /pattern/,
    ],
    [
      'access: [{principal: anonymous, repository: "/^{user}(/", actions: pull}]',
      'access[0].repository[0]',
      /pattern/,
    ],
    [
      'access: [{principal: "cert:/(/", repository: a, actions: pull}]',
      'access[0].principal[0]',
      /cert:name/,
    ],
    ['access: [{principal: me, repository: a, actions: pull}]', 'access[0].principal', /anonymous/],
    [
      'auth: {silly: {realm: r, service: s}}\naccess: [{principal: me, repository: a, actions: pull}]',
      'access',
      /auth\.silly decides alone/,
    ],
    [
      'notifications: {endpoints: [{name: a, url: "http://x"}, {name: a, url: "http://y"}]}',
      'notifications.endpoints[1].name',
      /another name/,
    ],
    ['health: {tcp: [{addr: ":1"}, {addr: ":1"}]}', 'health.tcp[1].addr', /another addr/],
    ['policy: {repository: {classes: [chart]}}', 'policy.repository.classes[0]', /image, plugin/],
  ]
  for (const [text, path, expected] of cases) {
    const found = problems(`${minimal}${text}\n`)
    t.ok(found[0]?.startsWith(`${path}: found `), `${text}: ${String(found[0])}`)
    t.match(found, [expected], text)
  }
})

t.test('loadConfig() takes rules for callers that somebody can tell apart', async t => {
  const rule = (principal: string) => `access: [{principal: ${principal}, repository: '*', actions: pull}]\n`

  t.same(problems(`${minimal}${rule('anonymous')}`), [])
  t.same(problems(`${minimal}${rule('me')}auth: {htpasswd: {realm: r, path: /p}}\n`), [])
  t.same(
    problems(`${minimal}${rule('"cert:*"')}http: {tls: {certificate: /c, key: /k, clientcas: /ca}}\n`),
    [],
  )
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

t.test('loadConfig() warns of each key that has no effect, and says why', async t => {
  const text = `
version: 0.1
storage: {inmemory: {}, cache: {blobdescriptor: redis}}
http:
  tls: {minimumtls: tls1.3, ciphersuites: [TLS_AES_128_GCM_SHA256], clientauth: request-client-cert, letsencrypt: {hosts: a}}
redis: {addrs: [a, b], tls: {rootcas: [/ca]}, dialtimeout: 10ms, adrs: a}
proxy: {cachewritetimeout: 5m}
`

  t.same(warnings(text), [
    'redis.adrs: found an unknown key, expected "addrs"; it is ignored',
    'storage.cache.blobdescriptor: redis has no effect: it is not supported yet',
    'redis has no effect: it is not supported yet',
    'proxy.cachewritetimeout has no effect: a transfer lasts as long as bytes arrive',
    'http.tls.letsencrypt has no effect: there is no cachefile',
    'http.tls.clientauth has no effect: there are no clientcas',
    'http.tls.ciphersuites has no effect: those of tls1.3 cannot be chosen',
  ])
  t.same(warnings(`${minimal}http: {h2c: {enabled: on}, tls: {certificate: /c, key: /k}}\n`), [
    'http.h2c has no effect: it is HTTP/2 without TLS, and there is a certificate',
  ])
  t.match(problems(`${minimal}redis: {db: one, dialtimeout: soon, password: {a: b}}\n`), [
    /^redis\.password: found a hidden value/,
    /^redis\.db: found "one"/,
    /^redis\.dialtimeout: found "soon"/,
  ])
})

t.test('loadConfig() reads http.secret from a file', async t => {
  const load = (http: string) =>
    loadConfig({
      text: `${minimal}http: ${http}\n`,
      env: {},
      drivers: driverSections,
      readFile(path) {
        if (path !== '/run/secret') throw new Error('ENOENT')
        return 's3cret\n'
      },
    }).config.http.secret

  t.equal(load('{secretfile: /run/secret}'), 's3cret')
  t.throws(() => load('{secretfile: /run/secret, secret: x}'), {
    message: /http\.secretfile: found http\.secret/,
  })
  t.throws(() => load('{secretfile: /none}'), {
    message: /http\.secretfile: found "\/none", expected a file that can be read: /,
  })
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
