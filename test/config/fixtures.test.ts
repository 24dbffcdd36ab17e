// The files that distribution ships, by their keys and values (fixtures/configuration): they must load, and serve where
// they need no service.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { main } from '../../lib/cli/main.ts'
import { loadConfig } from '../../lib/config/load.ts'
import { driverSections } from '../support/driver-sections.ts'
import { RecordedIo } from '../support/recorded-io.ts'

const folder = 'fixtures/configuration'

function load(name: string, env: Readonly<Record<string, string>> = {}) {
  const text = readFileSync(path.join(folder, `${name}.yml`), 'utf8')
  return loadConfig({ text, env, drivers: driverSections })
}

t.test('loadConfig() takes the files that name a driver we have', async t => {
  t.match(load('development'), {
    warnings: [],
    config: {
      log: { level: 'debug', fields: { service: 'registry', environment: 'development' } },
      storage: {
        driver: { name: 'filesystem', parameters: { rootdirectory: '/var/lib/registry' } },
        tag: { concurrencylimit: 8 },
      },
      health: { storagedriver: { enabled: true, intervalMs: 10_000, threshold: 3 } },
    },
  })
  t.match(load('example'), {
    warnings: [],
    config: { auth: { scheme: 'htpasswd', realm: 'basic-realm', path: '/etc/registry' } },
  })
  t.match(load('cache'), {
    warnings: [
      'storage.cache.blobdescriptor: redis has no effect: it is not supported yet',
      'redis has no effect: it is not supported yet',
    ],
    config: {
      notifications: { endpoints: [{ name: 'local-8082', disabled: true }, { name: 'local-8083' }] },
      proxy: { upstreams: [{ name: 'docker.io' }] },
    },
  })
})

t.test('loadConfig() takes the files for S3', async t => {
  const parameters = {
    ...{ bucket: 'images-local', rootdirectory: 'registry-v2', region: 'us-east-1', isPathStyle: true },
    ...{ endpoint: 'http://127.0.0.1:9000', chunkBytes: 33_554_432, encryption: undefined },
    credentials: { accessKeyId: 'distribution', secretAccessKey: 'password' },
  }
  for (const name of ['local-s3', 'cloud-storage'])
    t.match(load(name).config.storage.driver, { name: 's3', parameters }, name)
  const ours = load('../conf-local-s3')
  t.match(ours, { warnings: [], config: { storage: { driver: { name: 's3', parameters } } } })
})

t.test('fixtures/conf-local-s3.yml takes everything about the bucket from the environment', async t => {
  const { storage } = load('../conf-local-s3', {
    ...{
      AWS_ACCESS_KEY: 'a',
      AWS_SECRET_KEY: 's',
      AWS_REGION: 'eu-central-1',
      S3_BUCKET: 'b',
      S3_ENCRYPT: 'true',
    },
    ...{ REGION_ENDPOINT: 'store.example:443', S3_SECURE: 'true' },
  }).config

  t.match(storage.driver.parameters, {
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    ...{ region: 'eu-central-1', bucket: 'b', encryption: 'AES256', endpoint: 'https://store.example:443' },
  })
})

t.test('registry serve starts with these files', async t => {
  const root = t.testdir({})
  for (const name of ['development', 'cache', 'example']) {
    const io = new RecordedIo({
      env: {
        REGISTRY_HTTP_ADDR: '127.0.0.1:0',
        REGISTRY_HTTP_DEBUG_ADDR: '127.0.0.1:0',
        REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: path.join(root, name),
        ...(name === 'example' ? { REGISTRY_AUTH_HTPASSWD_PATH: path.join(root, 'users', 'htpasswd') } : {}),
      },
    })
    const exitCode = main(['serve', path.join(folder, `${name}.yml`)], io)
    const listening = io.logged(/listening on 127\.0\.0\.1:(\d+)"/).then(([, port]) => port)
    const port = await Promise.race([listening, exitCode.then(() => undefined)])
    t.ok(port, `${name}: ${io.written.stderr}`)
    if (port === undefined) continue
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`)
    await answer.arrayBuffer()
    t.ok([200, 401].includes(answer.status), `${name}: ${answer.status}`)
    io.send('SIGTERM')
    t.equal(await exitCode, 0, name)
  }
})
