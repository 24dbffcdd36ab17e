import { readFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { main } from '../../lib/cli/main.ts'
import { RecordedIo } from '../support/recorded-io.ts'

async function config(argv: readonly string[], env: Record<string, string> = {}) {
  const io = new RecordedIo({ env })
  const exitCode = await main(['config', ...argv], io)
  return { exitCode, ...io.written }
}

function write(t: Test, text: string): string {
  return path.join(t.testdir({ 'config.yml': text, secret: 's3cret\n' }), 'config.yml')
}

const minimal = 'version: 0.1\nstorage: inmemory\n'

t.test('registry config check prints every problem, unknown keys among them', async t => {
  const file = write(t, `${minimal}logs: {}\nhttp: {addr: here, adr: x}\n`)

  t.same(await config(['check', file], { REGISTRY_HTTP_SECRET_FILE: '/does/not/exist' }), {
    exitCode: 1,
    stdout: '',
    stderr: [
      'REGISTRY_HTTP_SECRET_FILE: found "/does/not/exist", expected a file that can be read: ' +
        "ENOENT: no such file or directory, open '/does/not/exist'",
      'http.adr: found an unknown key, expected "addr"',
      'logs: found an unknown key, expected "log"',
      'http.addr: found "here", expected host:port, such as :5000 or 127.0.0.1:5000',
      '',
    ].join('\n'),
    log: '',
  })
  t.match(await config(['check']), { exitCode: 1, stderr: /^found no file/ })
})

t.test('registry config check prints what counts, and warns', async t => {
  const file = write(t, `${minimal}redis: {addrs: [a]}\n`)
  const secret = path.join(path.dirname(file), 'secret')

  const { exitCode, stdout, stderr } = await config(['check'], {
    REGISTRY_CONFIGURATION_PATH: file,
    REGISTRY_HTTP_SECRET_FILE: secret,
    REGISTRY_HTTP_ADDR: ':5000',
  })

  t.equal(exitCode, 0)
  t.equal(stderr, 'warning: redis has no effect: it is not supported yet\n')
  t.match(stdout, /^version: '0.1'\n/)
  t.match(stdout, /\n {2}addr: ':5000'\n/)
  t.match(stdout, /\n {2}secret: '\*\*\*'\n/)
})

t.test('registry config show passes over unknown keys, and prints JSON', async t => {
  const { exitCode, stdout, stderr } = await config(['show', write(t, `${minimal}logs: {}\n`), '--json'])

  t.equal(exitCode, 0)
  t.equal(stderr, 'warning: logs: found an unknown key, expected "log"; it is ignored\n')
  t.match(JSON.parse(stdout), { version: '0.1', storage: { inmemory: {} }, tags: { maxtags: 1000 } })
})

t.test('a secret is not read from what has no end', async t => {
  const { exitCode, stderr } = await config(['show', write(t, minimal)], {
    REGISTRY_HTTP_SECRET_FILE: '/dev/zero',
  })

  t.equal(exitCode, 1)
  t.match(stderr, /it has more than 65536 bytes/)
})

t.test('docs/configuration.schema.json is what registry config schema prints', async t => {
  const { stdout } = await config(['schema'])

  t.ok(stdout === readFileSync('docs/configuration.schema.json', 'utf8'), 'run `make docs`')
  t.match(JSON.parse(stdout), {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    required: ['version', 'storage'],
    additionalProperties: false,
    properties: {
      storage: { anyOf: [{ properties: { filesystem: {} } }, { type: ['string', 'boolean', 'null'] }] },
      http: { properties: { draintimeout: { type: ['string', 'integer', 'null'], pattern: /^/ } } },
    },
  })
})

t.test('docs/configuration.md has the tables that registry config schema --tables prints', async t => {
  const { stdout } = await config(['schema', '--tables'])

  t.ok(readFileSync('docs/configuration.md', 'utf8').includes(stdout), 'run `make docs`')
})
