import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { main } from '../../lib/cli/main.ts'
import { RecordedIo, type RecordedIoOptions } from '../support/recorded-io.ts'

function configuration(t: Test, text: string): string {
  return path.join(t.testdir({ 'config.yml': `version: 0.1\nstorage: inmemory\n${text}` }), 'config.yml')
}

/** Runs `registry serve` until it listens. The test has to stop it. */
async function started(argv: readonly string[], options?: RecordedIoOptions) {
  const io = new RecordedIo(options)
  const exitCode = main(['serve', ...argv], io)
  const [, port = ''] = await io.logged(/listening on \S*?:(\d+)\b/)
  return { io, exitCode, url: `http://127.0.0.1:${port}` }
}

t.test('serve() reports what is wrong with the configuration and ends with 1', async t => {
  const missing = path.join(t.testdirName, 'missing.yml')
  const cases: readonly (readonly [readonly string[], string | RegExp])[] = [
    [
      [],
      'configuration error: found no file, expected one as an argument or in REGISTRY_CONFIGURATION_PATH\n',
    ],
    [[missing], /^configuration error: Cannot read ".*missing\.yml": ENOENT: no such file/],
    [
      [configuration(t, 'http: {addr: here}\nacces: []\n')],
      /^configuration error: 2 problems\n {2}acces: found an unknown key, expected "access"\n {2}http\.addr: found "here"/,
    ],
  ]
  for (const [argv, message] of cases) {
    const io = new RecordedIo()
    t.equal(await main(['serve', ...argv], io), 1)
    t.match(io.written, { stdout: '', stderr: message, log: '' })
  }
})

t.test('serve() says in one line that it cannot listen, and ends with 1', async t => {
  const taken = createServer()
  t.teardown(() => taken.close())
  await once(taken.listen(0, '127.0.0.1'), 'listening')
  const { port } = taken.address() as AddressInfo

  const io = new RecordedIo()
  const exitCode = await main(['serve', configuration(t, `http: {addr: "127.0.0.1:${port}"}\n`)], io)

  t.equal(exitCode, 1)
  t.match(io.written.stderr, new RegExp(`^registry: .*EADDRINUSE.*${port}\\n$`))
  t.notOk(io.listensForSignals)
})

t.test('serve() serves until a signal and ends with 0', async t => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const { io, exitCode, url } = await started([configuration(t, 'http: {addr: "127.0.0.1:0"}\n')])
    const answer = await fetch(`${url}/v2/`)
    await answer.arrayBuffer()
    io.send(signal)

    t.equal(answer.status, 200)
    t.equal(await exitCode, 0)
    t.match(io.written.log, new RegExp(`received ${signal}`))
    t.equal(io.written.stderr, '')
    t.notOk(io.listensForSignals)
  }
})

t.test(
  'serve() finds its file by REGISTRY_CONFIGURATION_PATH, and lets the environment override it',
  async t => {
    const env = {
      REGISTRY_CONFIGURATION_PATH: configuration(t, 'http: {addr: "256.0.0.1:0"}\n'),
      REGISTRY_HTTP_ADDR: '127.0.0.1:0',
      REGISTRY_LOG_FIELDS_SERVICE: 'mine',
      REGISTRY_NONSENSE: 'x',
    }
    const { io, exitCode } = await started([], { env })
    io.send('SIGTERM')

    t.equal(await exitCode, 0)
    t.match(
      io.written.log,
      /level=warning msg="Ignoring unrecognized environment variable REGISTRY_NONSENSE".* service=mine/,
    )
  },
)

t.test('serve() does not wait for a stop any longer after a second signal', async t => {
  for (const [first, second, wanted] of [
    ['SIGTERM', 'SIGINT', 130],
    ['SIGINT', 'SIGTERM', 143],
  ] as const) {
    const { io, exitCode } = await started([configuration(t, 'http: {addr: "127.0.0.1:0"}\n')])
    io.send(first)
    await io.logged(/stopping server/)
    io.send(second)

    t.equal(await exitCode, wanted)
  }
})

t.test(
  'serve() writes the access log to stdout, and the id of the instance into each line of the other',
  async t => {
    for (const [more, pattern] of [
      ['', /^127\.0\.0\.1 - - \[[^\]]+\] "GET \/v2\/ HTTP\/1\.1" 200 2 "" "[^"]*"\n$/],
      ['log: {accesslog: {disabled: true}, reportcaller: true}\n', /^$/],
    ] as const) {
      const { io, exitCode, url } = await started([configuration(t, `http: {addr: "127.0.0.1:0"}\n${more}`)])
      await (await fetch(`${url}/v2/`)).text()
      io.send('SIGTERM')

      t.equal(await exitCode, 0)
      t.match(io.written.stdout, pattern)
      t.notMatch(io.written.log, /response completed/)
      const lines = io.written.log.trim().split('\n')
      t.ok(lines.every(line => / instance\.id=[0-9a-f-]{36} /.test(line) && / version=\S+$/.test(line)))
      t.equal(
        lines.some(line => / file=/.test(line)),
        more !== '',
      )
    }
  },
)

t.test(
  'serve() sends traces where the environment asks for them, and does not wait long for a collector that is gone',
  async t => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }
    const { io, exitCode, url } = await started([configuration(t, 'http: {addr: "127.0.0.1:0"}\n')], { env })
    await (await fetch(`${url}/v2/`)).text()
    io.send('SIGTERM')

    t.equal(await exitCode, 0)
    t.match(io.written.log, /sending traces to OTLP/)
  },
)
