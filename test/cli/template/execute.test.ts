import t, { type Test } from 'tap'
import { executeTemplate } from '../../../lib/cli/template/execute.ts'
import type { TemplateFunction } from '../../../lib/cli/template/functions.ts'

const data = {
  Name: 'registry',
  Count: 3,
  Yes: true,
  No: false,
  Nothing: undefined,
  Empty: [],
  Letters: ['a', 'b', 'c'],
  Inner: { Name: 'inner', Deep: { Value: 7 } },
  Rows: [
    { Key: 'x', Cells: [1, 2] },
    { Key: 'y', Cells: [] },
  ],
}
const functions = new Map<string, TemplateFunction>([['upper', text => String(text).toUpperCase()]])

function execute(text: string): string {
  return executeTemplate({ name: 'page', text }, data, functions)
}

type Table = readonly (readonly [template: string, expected: string])[]

t.test('executeTemplate() names line and column of what it cannot parse', async t => {
  const table: Table = [
    ['{{', '1:1: unclosed action'],
    ['one\ntwo {{.Name', '2:5: unclosed action'],
    ['{{/* never ends', '1:1: unclosed comment'],
    ['{{/* a */ .Name}}', '1:10: expected "}}" right after the comment'],
    ['{{}}', '1:3: found the end of the action, expected a value'],
    ['{{.Name | }}', '1:11: found the end of the action, expected a value'],
    ['{{"abc}}', '1:3: unterminated string'],
    ['{{"a\\qb"}}', '1:3: unknown escape "\\q"'],
    ['{{12ab}}', '1:3: bad number "12ab"'],
    ['{{.Name ; .Count}}', '1:9: unexpected character ";"'],
    ['{{.Name)}}', '1:8: unexpected ")"'],
    ['{{(.Name}}', '1:9: found the end of the action, expected a value'],
    ['{{.Name .Count}}', '1:3: arguments need a function'],
    ['{{.Name | 3}}', '1:11: a literal takes no value from a pipeline'],
    ['{{print "a""b"}}', '1:12: unexpected ""b""'],
    ['{{print(1)}}', '1:8: unexpected "("'],
    ['{{"a".Name}}', '1:6: unexpected ".Name": what stands before it has no fields'],
    ['{{nonsense .Name}}', '1:3: function "nonsense" not defined'],
    ['{{.Name | nonsense}}', '1:11: function "nonsense" not defined'],
    ['\n\n  {{$x}}', '3:5: undefined variable "$x"'],
    ['{{$x = 1}}', '1:3: undefined variable "$x"'],
    ['{{$x := $x}}', '1:9: undefined variable "$x"'],
    ['{{if .Yes}}{{$x := 1}}{{end}}{{$x}}', '1:32: undefined variable "$x"'],
    ['{{$x, $y := .Letters}}', '1:7: found 2 variables, expected 1'],
    ['{{if .Yes}}', '1:3: {{if}} without {{end}}'],
    ['{{if .Yes}}{{else}}', '1:3: {{if}} without {{end}}'],
    ['{{if .Yes}}{{else if .No}}', '1:19: {{if}} without {{end}}'],
    ['{{if .Yes}}{{else}}{{else}}{{end}}', '1:22: found a second {{else}}, expected {{end}}'],
    ['{{range .Letters}}{{end .Name}}', '1:25: found ".Name", expected "}}"'],
    ['{{end}}', '1:3: unexpected {{end}}'],
    ['{{else}}', '1:3: unexpected {{else}}'],
    ['{{template "x"}}', '1:3: {{template}} is not supported'],
  ]
  for (const [template, message] of table) {
    t.throws(() => execute(template), { name: 'TemplateError', message: `page:${message}` }, template)
  }
})

t.test('executeTemplate() names line and column of what it cannot execute', async t => {
  const table: Table = [
    ['{{.Nmae}}', '1:3: no field "Nmae" in object'],
    ['a\n{{.Name.Length}}', '2:8: no field "Length" in string'],
    ['{{.Nothing.Name}}', '1:11: no field "Name" in nil'],
    ['{{range .Name}}{{end}}', '1:9: cannot range over string'],
    ['{{.Letters | .Name}}', '1:14: only a function takes a value from a pipeline'],
    ['{{eq .Name 3}}', '1:3: eq: cannot compare string with number'],
    ['{{eq .Letters .Letters}}', '1:3: eq: cannot compare list with list'],
    ['{{eq .Name}}', '1:3: eq: found 1 argument, expected 2 or more'],
    ['{{lt .Name 3}}', '1:3: lt: cannot compare string with number'],
    ['{{not}}', '1:3: not: found 0 arguments, expected 1'],
    ['{{and}}', '1:3: found no arguments, expected 1 or more'],
    ['{{len .Count}}', '1:3: len: number has no length'],
    ['{{printf .Count}}', '1:3: printf: found number, expected a format'],
    ['{{printf "%z" 1}}', '1:3: printf: unknown verb "%z"'],
    ['{{printf "%"}}', '1:3: printf: unknown verb "%"'],
    ['{{printf "%d" "x"}}', '1:3: printf: cannot format string with %d'],
    ['{{printf "%d" 1.5}}', '1:3: printf: cannot format number with %d'],
    ['{{printf "%s" 1}}', '1:3: printf: cannot format number with %s'],
    ['{{printf "%q" 1}}', '1:3: printf: cannot format number with %q'],
    ['{{printf "%s"}}', '1:3: printf: no argument for "%s"'],
    ['{{printf "a" 1}}', '1:3: printf: found 1 arguments, the format takes 0'],
  ]
  for (const [template, message] of table) {
    t.throws(() => execute(template), { name: 'TemplateError', message: `page:${message}` }, template)
  }
})

t.test('executeTemplate() passes on errors that are no complaint about arguments', async t => {
  const fail: TemplateFunction = () => {
    throw new RangeError('broken')
  }

  t.throws(() => executeTemplate({ name: 'page', text: '{{fail}}' }, data, new Map([['fail', fail]])), {
    name: 'RangeError',
    message: 'broken',
  })
})

t.test('executeTemplate() writes values', async t => {
  check(t, [
    ['', ''],
    ['plain { text }}', 'plain { text }}'],
    ['{{.Name}} {{ .Count }}', 'registry 3'],
    ['{{.Inner.Name}}/{{.Inner.Deep.Value}}', 'inner/7'],
    ['{{.Yes}} {{.No}} {{.Nothing}}', 'true false <no value>'],
    ['{{.Letters}} {{.Empty}} {{.Inner}}', '[a b c] [] {inner {7}}'],
    ['{{"a\\tb\\"\\x41\\u00e9\\U0001F600"}}{{`raw \\n`}}', 'a\tb"Aé😀raw \\n'],
    ['{{1}} {{-2}} {{1.5}} {{true}}', '1 -2 1.5 true'],
    ['{{\n  .Name\n}}', 'registry'],
    ['{{(.Inner).Name}} {{$.Name}}', 'inner registry'],
  ])
})

t.test('executeTemplate() trims where it is told to, and leaves comments out', async t => {
  check(t, [
    ['a  {{- .Count -}}  b', 'a3b'],
    ['a \n\t{{- .Count}} b', 'a3 b'],
    ['a {{.Count -}}\n\n b', 'a 3b'],
    ['a{{-2}}', 'a-2'],
    ['a {{/* words }} more */}} b', 'a  b'],
    ['a {{- /* words */ -}} b', 'ab'],
    ['{{if .Yes -}}  x  {{- end}}', 'x'],
  ])
})

t.test('executeTemplate() takes one of the ways of if and with', async t => {
  check(t, [
    ['{{if .Yes}}a{{end}}{{if .No}}b{{end}}', 'a'],
    ['{{if .No}}a{{else}}b{{end}}', 'b'],
    ['{{if .No}}a{{else if .Yes}}b{{else}}c{{end}}d', 'bd'],
    ['{{if .No}}a{{else if .No}}b{{else}}c{{end}}d', 'cd'],
    ['{{if .Empty}}a{{else if .Nothing}}b{{end}}', ''],
    ['{{if 0}}a{{end}}{{if ""}}b{{end}}{{if nil}}c{{end}}{{if .Inner}}d{{end}}', 'd'],
    ['{{if $n := .Count}}{{$n}}{{end}}', '3'],
    ['{{with .Inner}}{{.Name}} {{$.Name}}{{end}}', 'inner registry'],
    ['{{with $x := .Inner}}{{$x.Name}}{{end}}', 'inner'],
    ['{{with .Empty}}a{{else}}{{.Name}}{{end}}', 'registry'],
    ['{{with .Empty}}a{{else with .Inner}}{{.Name}}{{end}}', 'inner'],
  ])
})

t.test('executeTemplate() repeats the body of range', async t => {
  check(t, [
    ['{{range .Letters}}<{{.}}>{{end}}', '<a><b><c>'],
    ['{{range .Empty}}a{{else}}none{{end}}', 'none'],
    ['{{range .Nothing}}a{{else}}none{{end}}', 'none'],
    ['{{range $x := .Letters}}{{$x}}{{.}}{{end}}', 'aabbcc'],
    ['{{range $i, $x := .Letters}}{{if $i}}, {{end}}{{$i}}{{$x}}{{end}}', '0a, 1b, 2c'],
    [
      '{{range $row := .Rows}}{{.Key}}:{{range .Cells}}{{$row.Key}}{{.}}{{else}}-{{end}};{{end}}',
      'x:x1x2;y:-;',
    ],
    ['{{$last := ""}}{{range .Letters}}{{$last = .}}{{end}}{{$last}}', 'c'],
    ['{{$x := "a"}}{{range .Letters}}{{$x := .}}{{end}}{{$x}}', 'a'],
  ])
})

t.test(
  'executeTemplate() calls functions, with what stands before a pipe as their last argument',
  async t => {
    check(t, [
      ['{{upper .Name}} {{.Name | upper}} {{upper (print .Name 1)}}', 'REGISTRY REGISTRY REGISTRY1'],
      ['{{print 1 2 "a" 3 true}}', '1 2a3 true'],
      ['{{"x" | printf "%s-%s" "y"}}', 'y-x'],
      ['{{.Name | upper | printf "%q"}}', '"REGISTRY"'],
      ['{{len .Letters}} {{len "é"}} {{len .Empty}}', '3 2 0'],
      ['{{not .No}} {{not .Letters}}', 'true false'],
      [
        '{{eq .Count 3}} {{eq .Name "a" "registry"}} {{eq .Name "a"}} {{eq .Nothing nil}}',
        'true true false true',
      ],
      ['{{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt "a" "b"}} {{ge "b" "a"}}', 'true true true false true'],
      ['{{or .No .Empty "x"}} {{or .Name .Nonsense}} {{.Name | or .No}}', 'x registry registry'],
      ['{{and .Yes .Name}} {{and .No .Nonsense}} {{and .Yes ""}}', 'registry false '],
      ['{{if and (eq .Count 3) (or .No (gt .Count 2))}}a{{end}}', 'a'],
    ])
  },
)

t.test('executeTemplate() formats as printf does', async t => {
  check(t, [
    ['{{printf "%s|%d|%q|%v|%%" "a" 3 "b\\"\\x01" .Letters}}', 'a|3|"b\\"\\x01"|[a b c]|%'],
    ['{{printf "%5d|%-5d|%05d|%3s|%-3s|" 42 42 42 "a" "a"}}', '   42|42   |00042|  a|a  |'],
    ['{{printf "%v %s" .Yes .Letters}}', 'true [a b c]'],
  ])
})

function check(t: Test, table: Table): void {
  for (const [template, expected] of table) t.equal(execute(template), expected, template)
}
