import { readFileSync } from 'node:fs'
import yaml from 'js-yaml'
import t from 'tap'
import { effectiveConfig } from '../../lib/config/effective.ts'
import { inspectConfig } from '../../lib/config/load.ts'
import { driverSections } from '../support/driver-sections.ts'

const minimal = 'version: 0.1\nstorage: inmemory\n'

function inspect(text: string, env: Record<string, string> = {}) {
  const { config, tree, schema } = inspectConfig({
    text,
    env,
    drivers: driverSections,
    readFile: () => 's3cret',
  })
  return { config, effective: effectiveConfig(tree, schema) }
}

t.test('effectiveConfig() says the same as what was written', async t => {
  const texts = [
    minimal,
    readFileSync('config-dev.yml', 'utf8'),
    readFileSync('fixtures/configuration/development.yml', 'utf8'),
    readFileSync('fixtures/configuration/example.yml', 'utf8'),
    `
version: 0.1
loglevel: warn
log: {fields: {a: 07}, hooks: [{type: mail, levels: error, options: {to: [a]}}]}
storage: {filesystem: , cache: {layerinfo: inmemory}}
auth: {token: {realm: "https://a", service: s, issuer: i, rootcertbundle: /c}}
middleware: {storage: [{name: cloudfront, options: {baseurl: "https://x", privatekey: k, keypairid: K}}]}
notifications: {endpoints: [{name: a, url: "https://x", ignore: {actions: pull}}]}
health: {file: [{file: /a}], http: [{uri: "http://x"}], tcp: [{addr: a}]}
http: {addr: "127.0.0.1:0", tls: {certificate: /c, key: /k, clientcas: /ca}, trustedproxies: [private], headers: {A: b}}
proxy:
  upstreams: [{url: "https://ghcr.io", ecr: , minage: 3h, tags: [{match: a, ttl: immutable}]}, {url: "https://quay.io"}]
  cache: {minage: 1h, warm: [{images: a}], maxsize: 1GB}
policy: {repository: {classes: image}, tags: {immutable: [v*, {repository: a, tags: b}]}}
`,
    `${minimal}auth: none\naccess: [{principal: anonymous, repository: a, actions: '*'}]\n`,
    `${minimal}auth: {htpasswd: {realm: r, path: p}}\ntokenservice: {enabled: true}\n`,
  ]
  for (const text of texts) {
    const { config, effective } = inspect(text)
    t.same(inspect(yaml.dump(effective)).config, config, text)
  }
})

t.test('effectiveConfig() hides secrets, and shows the environment', async t => {
  const { effective } = inspect(
    `${minimal}proxy: {remoteurl: "https://me:s3cret@x", username: u, password: s3cret}
http: {secretfile: /run/s}
log: {hooks: [{type: mail, options: {smtp: {password: s3cret}}}]}
notifications: {endpoints: [{name: a, url: "https://u:s3cret@x/?sig=s3cret", headers: {A: s3cret, B: [s3cret]}}]}
redis: {password: s3cret}
health: {http: [{uri: "http://x", headers: {A: s3cret}}]}
`,
    { REGISTRY_CATALOG_MAXENTRIES: '7', REGISTRY_REDIS_SENTINELPASSWORD_FILE: '/run/x' },
  )

  t.notMatch(JSON.stringify(effective), /s3cret/)
  t.match(effective, {
    catalog: { maxentries: 7 },
    http: { secretfile: '/run/s' },
    proxy: { remoteurl: 'https://x', password: '***' },
    redis: { password: '***', sentinelpassword: '***' },
    notifications: { endpoints: [{ url: 'https://x/?sig=***', headers: { A: ['***'], B: ['***'] } }] },
  })
})
