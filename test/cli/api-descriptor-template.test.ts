import { readFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { apiDescriptorTemplateMain } from '../../lib/cli/api-descriptor-template.ts'
import { RecordedIo } from '../support/recorded-io.ts'

const docs = path.resolve(import.meta.dirname, '../../docs')

async function run(argv: readonly string[]) {
  const io = new RecordedIo()
  return { exitCode: await apiDescriptorTemplateMain(argv, io), ...io.written }
}

function template(t: Test, text: string): string {
  return path.join(t.testdir({ 'page.tmpl': text }), 'page.tmpl')
}

t.test('apiDescriptorTemplateMain() asks for one template', async t => {
  for (const argv of [[], ['one', 'two']]) {
    t.same(await run(argv), {
      exitCode: 1,
      stdout: '',
      stderr: 'registry-api-descriptor-template: please specify a template to execute.\n',
      log: '',
    })
  }
  t.match(await run(['--nonsense']), { exitCode: 1, stdout: '', stderr: /^error: unknown option/ })
})

t.test(
  'apiDescriptorTemplateMain() says what it cannot read or execute, and prints nothing else',
  async t => {
    const missing = path.join(t.testdirName, 'missing.tmpl')
    t.match(await run([missing]), {
      exitCode: 1,
      stdout: '',
      stderr: /^registry-.*: ENOENT: .*missing\.tmpl/,
    })
    const table: readonly (readonly [text: string, message: string])[] = [
      ['text\n{{range .RouteDescriptors}}', 'page.tmpl:2:3: {{range}} without {{end}}'],
      ['text {{.Routes}}', 'page.tmpl:1:8: no field "Routes" in object'],
      ['{{statustext "404"}}', 'page.tmpl:1:3: statustext: found string, expected number'],
      ['{{removenewlines 1}}', 'page.tmpl:1:3: removenewlines: found number, expected string'],
      ['{{prettygorilla nil}}', 'page.tmpl:1:3: prettygorilla: found nil, expected string'],
    ]
    for (const [text, message] of table) {
      t.match(await run([template(t, text)]), {
        exitCode: 1,
        stdout: '',
        stderr: `registry-api-descriptor-template: ${message}\n`,
      })
    }
  },
)

t.test('apiDescriptorTemplateMain() lists the routes and the errors', async t => {
  const file = template(
    t,
    '{{range $route := .RouteDescriptors}}{{range .Methods}}{{.Method}} {{$route.Path | prettygorilla}}\n{{end}}{{end}}' +
      '{{range .ErrorDescriptors}}{{if eq .Value "DENIED"}}{{.Value}} {{.HTTPStatusCode | statustext}}{{end}}{{end}}',
  )

  const { exitCode, stdout, stderr } = await run([file])

  t.equal(exitCode, 0)
  t.equal(stderr, '')
  const lines = stdout.split('\n')
  t.equal(lines[0], 'GET /')
  t.ok(lines.includes('HEAD /v2/<name>/manifests/<reference>'))
  t.ok(lines.includes('PATCH /v2/<name>/blobs/uploads/<id>'))
  t.equal(lines.at(-1), 'DENIED Forbidden')
})

t.test("apiDescriptorTemplateMain() has distribution's functions", async t => {
  const table: readonly (readonly [text: string, expected: string])[] = [
    ['{{"one\\n  two\\nthree" | removenewlines}}', 'one two three'],
    ['{{404 | statustext}}|{{statustext 799}}', 'Not Found|'],
    ['{{prettygorilla "/v2/{name:[a-z]{1,2}(?::x)?}/tags/{tag}/list"}}', '/v2/<name>/tags/<tag>/list'],
    ['{{prettygorilla "/v2/"}}', '/v2/'],
  ]
  for (const [text, expected] of table) {
    t.match(await run([template(t, text)]), { exitCode: 0, stdout: expected, stderr: '' })
  }
})

t.test('apiDescriptorTemplateMain() prints version and help', async t => {
  t.match(await run(['--version']), {
    exitCode: 0,
    stdout: /^registry-api-descriptor-template entrepot \S+ \S+\n$/,
  })
  t.match(await run(['--help']), { exitCode: 0, stdout: /^Usage: registry-api-descriptor-template / })
})

t.test('docs/api.md is what `make docs` makes of its template', async t => {
  const { exitCode, stdout } = await run([path.join(docs, 'api.md.tmpl')])

  t.equal(exitCode, 0)
  t.equal(stdout, readFileSync(path.join(docs, 'api.md'), 'utf8'))
})
