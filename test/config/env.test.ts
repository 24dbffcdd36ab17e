import t from 'tap'
import { override } from '../../lib/config/env.ts'
import { configSchema } from '../../lib/config/sections.ts'
import { parseYaml } from '../../lib/config/yaml.ts'
import { driverSections } from '../support/driver-sections.ts'

const schema = configSchema(driverSections)
const files: Readonly<Record<string, string>> = { '/run/secret': 's3cret: [\n', '/run/empty': '' }

function readFile(path: string): string {
  const text = files[path]
  if (text === undefined) throw new Error('ENOENT: no such file')
  return text
}

function overridden(text: string, environment: Record<string, string>) {
  return override(parseYaml(text).value, environment, schema, readFile)
}

t.test('override() warns of variables that name no key of a section, and ignores them', async t => {
  const names = [
    'REGISTRY_',
    'REGISTRY_HTTP_ADDR_PORT',
    'REGISTRY_HTTP__ADDR',
    'REGISTRY_LOG_LEVEL_',
    'REGISTRY_PORT',
    'REGISTRY_PORT_5000_TCP_ADDR',
    'REGISTRY_SERVICE_HOST',
    'REGISTRY_VALIDATION_MANIFESTS_URL_ALLOW',
  ]
  const { tree, warnings, problems } = overridden(
    '{a: 1}',
    Object.fromEntries(names.map(name => [name, 'x'])),
  )

  t.same(tree, { a: '1' })
  t.same(problems, [])
  t.same(
    warnings,
    names.map(name => `Ignoring unrecognized environment variable ${name}`),
  )
})

t.test('override() says nothing of other variables', async t => {
  const environment = {
    REGISTRY_CONFIGURATION_PATH: '/etc/x.yml',
    PATH: '/bin',
    registry_http_addr: ':1',
    REGISTRYX: 'y',
  }

  t.match(overridden('{a: 1}', environment), { tree: { a: '1' }, warnings: [], problems: [] })
})

t.test('override() reports an index that a list does not reach, and a value that is not YAML', async t => {
  const { problems, warnings } = overridden('{}', {
    REGISTRY_HTTP_ADDR: '[',
    REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_1: 'x',
    REGISTRY_VALIDATION_MANIFESTS_URLS_DENY_FIRST: 'x',
  })

  t.same(warnings, [])
  t.match(problems, [
    /^REGISTRY_HTTP_ADDR: line 2, column 1: found what is not YAML/,
    'REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_1: found index "1", expected a number from 0 to 0',
    'REGISTRY_VALIDATION_MANIFESTS_URLS_DENY_FIRST: found index "FIRST", expected a number from 0 to 0',
  ])
})

t.test('override() reports secrets that cannot be read, and those that are given twice', async t => {
  const { problems, warnings, tree } = overridden('{}', {
    REGISTRY_HTTP_ADDR_FILE: '/run/secret',
    REGISTRY_HTTP_SECRET: 'x',
    REGISTRY_HTTP_SECRET_FILE: '/run/secret',
    REGISTRY_PROXY_PASSWORD_FILE: '/run/none',
  })

  t.same(tree, { http: { secret: 'x' } })
  t.same(warnings, ['Ignoring unrecognized environment variable REGISTRY_HTTP_ADDR_FILE'])
  t.same(problems, [
    'REGISTRY_HTTP_SECRET_FILE: found REGISTRY_HTTP_SECRET as well, expected one of both',
    'REGISTRY_PROXY_PASSWORD_FILE: found "/run/none", expected a file that can be read: ENOENT: no such file',
  ])
})

t.test('override() sets what the documentation says', async t => {
  const cases: readonly (readonly [string, string, Record<string, string>, unknown])[] = [
    ['a scalar', '{http: {addr: ":1"}}', { REGISTRY_HTTP_ADDR: ':2' }, { http: { addr: ':2' } }],
    [
      'a section that is missing',
      '',
      { REGISTRY_HTTP_DEBUG_ADDR: ':2' },
      { http: { debug: { addr: ':2' } } },
    ],
    ['a section that is empty', 'http:', { REGISTRY_HTTP_ADDR: ':2' }, { http: { addr: ':2' } }],
    [
      'a whole section',
      '{log: {level: info}}',
      { REGISTRY_LOG: '{formatter: json}' },
      { log: { formatter: 'json' } },
    ],
    [
      'nothing',
      '{proxy: {remoteurl: "https://x"}}',
      { REGISTRY_PROXY_REMOTEURL: '' },
      { proxy: { remoteurl: null } },
    ],
    ['digits as text', '', { REGISTRY_PROXY_PASSWORD: '0123' }, { proxy: { password: '0123' } }],
    [
      'a driver by name',
      '{storage: {inmemory: {}}}',
      { REGISTRY_STORAGE: 'filesystem' },
      { storage: 'filesystem' },
    ],
    [
      'parameters of a driver named so',
      '{storage: inmemory}',
      { REGISTRY_STORAGE: 'filesystem', REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: '/x' },
      { storage: { filesystem: { rootdirectory: '/x' } } },
    ],
    [
      'a key of an open map, whatever its case',
      '{http: {headers: {X-Foo: [a]}}}',
      { 'REGISTRY_HTTP_HEADERS_X-FOO': '[b]', 'REGISTRY_HTTP_HEADERS_X-BAR': '[c]' },
      { http: { headers: { 'X-Foo': ['b'], 'x-bar': ['c'] } } },
    ],
    [
      'a list as a whole',
      '{validation: {manifests: {urls: {allow: [a, b]}}}}',
      { REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW: '[c]' },
      { validation: { manifests: { urls: { allow: ['c'] } } } },
    ],
    [
      'elements of a list of scalars',
      '{validation: {manifests: {urls: {allow: [a, b]}}}}',
      {
        REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0: 'A',
        REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_2: 'c',
        REGISTRY_VALIDATION_MANIFESTS_URLS_DENY_0: 'd',
      },
      { validation: { manifests: { urls: { allow: ['A', 'b', 'c'], deny: ['d'] } } } },
    ],
    [
      'an element of a list written as one scalar',
      '{http: {headers: {X: a}}}',
      { REGISTRY_HTTP_HEADERS_X_1: 'b' },
      { http: { headers: { X: ['a', 'b'] } } },
    ],
    [
      'maps below storage.maintenance that are missing',
      '{storage: inmemory}',
      { REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED: 'true' },
      { storage: { inmemory: {}, maintenance: { readonly: { enabled: 'true' } } } },
    ],
    [
      'maps below storage.maintenance that are there',
      '{storage: {maintenance: {uploadpurging: {enabled: true, age: 1h}}}}',
      { REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_ENABLED: 'false' },
      { storage: { maintenance: { uploadpurging: { enabled: 'false', age: '1h' } } } },
    ],
    [
      "names of distribution's structures, and those of the file",
      '',
      {
        REGISTRY_HEALTH_FILECHECKERS_0_FILE: '/x',
        REGISTRY_HEALTH_FILE_1_FILE: '/y',
        REGISTRY_HEALTH_HTTPCHECKERS_0_URI: 'http://x',
        REGISTRY_HEALTH_TCPCHECKERS_0_ADDR: ':1',
        REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES: 'true',
        REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_ADDR: 'mail:25',
        REGISTRY_LOG_HOOKS_0_OPTIONS_FROM: 'a@b',
        REGISTRY_REDIS_OPTIONS_ADDRS: '[a]',
        REGISTRY_REDIS_DB: '1',
      },
      {
        health: {
          file: [{ file: '/x' }, { file: '/y' }],
          http: [{ uri: 'http://x' }],
          tcp: [{ addr: ':1' }],
        },
        notifications: { events: { includereferences: 'true' } },
        log: { hooks: [{ options: { smtp: { addr: 'mail:25' }, from: 'a@b' } }] },
        redis: { addrs: ['a'], db: '1' },
      },
    ],
    [
      'a scheme of authentication and its parameters',
      '{auth: none}',
      { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_PATH: '/p', REGISTRY_AUTH_HTPASSWD_REALM: 'r' },
      { auth: { htpasswd: { path: '/p', realm: 'r' } } },
    ],
    [
      'options of middleware',
      '{middleware: {storage: [{name: redirect}]}}',
      { REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL: 'https://x' },
      { middleware: { storage: [{ name: 'redirect', options: { baseurl: 'https://x' } }] } },
    ],
    [
      'secrets from files, as they are but for the last newline',
      '{notifications: {endpoints: [{name: a}]}}',
      {
        REGISTRY_HTTP_SECRET_FILE: '/run/secret',
        REGISTRY_HTTP_SECRET: '',
        REGISTRY_PROXY_PASSWORD_FILE: '/run/empty',
        REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_AUTHORIZATION_FILE: '/run/secret',
        REGISTRY_LOG_HOOKS_0_MAILOPTIONS_SMTP_PASSWORD_FILE: '/run/secret',
        REGISTRY_REDIS_OPTIONS_PASSWORD_FILE: '/run/secret',
        REGISTRY_REDIS_SENTINELPASSWORD_FILE: '',
      },
      {
        http: { secret: 's3cret: [' },
        proxy: { password: '' },
        notifications: { endpoints: [{ name: 'a', headers: { authorization: 's3cret: [' } }] },
        log: { hooks: [{ options: { smtp: { password: 's3cret: [' } } }] },
        redis: { password: 's3cret: [' },
      },
    ],
    [
      'what only looks like the file of a secret',
      '',
      { REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_FILE: 'x', REGISTRY_LOG_FIELDS_FILE: 'y' },
      { notifications: { endpoints: [{ headers: { file: 'x' } }] }, log: { fields: { file: 'y' } } },
    ],
  ]
  for (const [what, text, environment, wanted] of cases) {
    const { tree, warnings, problems } = overridden(text, environment)
    t.same(tree, wanted, what)
    t.same([...warnings, ...problems], [], what)
  }
})

t.test('override() leaves the tree that it is given as it is', async t => {
  const { value } = parseYaml('base: &b {disabled: true}\nlog: {accesslog: *b}\nvalidation: *b\n')
  const before = structuredClone(value)

  const { tree } = override(value, { REGISTRY_LOG_ACCESSLOG_DISABLED: 'false' }, schema, readFile)

  t.same(value, before)
  t.match(tree, { log: { accesslog: { disabled: 'false' } }, validation: { disabled: 'true' } })
})

t.test('override() remembers which variable set a value', async t => {
  const { origins } = overridden('', {
    REGISTRY_HTTP_ADDR: ':1',
    REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0: 'x',
  })

  t.same(
    [...origins],
    [
      ['http.addr', 'REGISTRY_HTTP_ADDR'],
      ['validation.manifests.urls.allow[0]', 'REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0'],
    ],
  )
})
