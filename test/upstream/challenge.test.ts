import fc from 'fast-check'
import t from 'tap'
import { parseChallenges } from '../../lib/upstream/challenge.ts'

type Expected = readonly (readonly [scheme: string, parameters: Record<string, string>])[]

function parse(header: string | readonly string[] | undefined): Expected {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])
}

t.test('parseChallenges() reads what registries send', async t => {
  const hub = { realm: 'https://auth.docker.io/token', service: 'registry.docker.io' }
  const cases: readonly (readonly [
    header: string | readonly string[] | undefined,
    expected: Expected,
    why: string,
  ])[] = [
    [undefined, [], 'no header'],
    ['', [], 'an empty one'],
    [
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
      [['bearer', hub]],
      'Docker Hub',
    ],
    [
      'bearer realm=https://auth.docker.io/token , Service = registry.docker.io',
      [['bearer', hub]],
      'unquoted values, blanks around them, other case',
    ],
    [
      'Bearer realm="https://r/t",scope="repository:a/b:pull,push",error="invalid_token"',
      [['bearer', { realm: 'https://r/t', scope: 'repository:a/b:pull,push', error: 'invalid_token' }]],
      'a comma in a quoted string',
    ],
    [
      'Bearer realm="a \\"b\\" \\\\ c",service="s"',
      [['bearer', { realm: 'a "b" \\ c', service: 's' }]],
      'escapes in a quoted string',
    ],
    ['Basic realm="Sonatype Nexus"', [['basic', { realm: 'Sonatype Nexus' }]], 'Basic'],
    ['Basic', [['basic', {}]], 'no parameters'],
    [
      'Basic realm="x", Bearer realm="https://r/t",service="s"',
      [
        ['basic', { realm: 'x' }],
        ['bearer', { realm: 'https://r/t', service: 's' }],
      ],
      'two challenges in a line',
    ],
    [
      ['Basic realm="x"', 'Bearer realm="https://r/t"'],
      [
        ['basic', { realm: 'x' }],
        ['bearer', { realm: 'https://r/t' }],
      ],
      'two lines',
    ],
    [
      'Negotiate YIIB/abc+0==, Basic realm="x"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
      ],
      'token68 of another scheme',
    ],
    ['NTLM, Basic', [['ntlm', {}], ['basic', {}]], 'schemes alone'], // prettier-ignore
  ]
  for (const [header, expected, why] of cases) t.same(parse(header), expected, why)
})

t.test('parseChallenges() makes the best of what is broken', async t => {
  const cases: readonly (readonly [header: string, expected: Expected, why: string])[] = [
    ['Bearer realm="https://r/t', [['bearer', { realm: 'https://r/t' }]], 'quote without an end'],
    ['Bearer realm="a",realm="b"', [['bearer', { realm: 'a' }]], 'one name twice: the first counts'],
    [',, Bearer ,realm="a",,service="s",', [['bearer', { realm: 'a', service: 's' }]], 'commas too many'],
    ['realm="a"', [], 'parameters of nothing'],
    ['"x" Bearer realm="a"', [['x', {}], ['bearer', { realm: 'a' }]], 'stray quotes'], // prettier-ignore
    ['Bearer realm="a";service="s"', [['bearer', { realm: 'a', service: 's' }]], 'a semicolon for a comma'],
  ]
  for (const [header, expected, why] of cases) t.same(parse(header), expected, why)
})

t.test('parseChallenges() never throws and takes linear time', async t => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), header => Array.isArray(parse(header))),
  )
  const mixed = fc.string({ unit: fc.constantFrom(...'Basic ="\\,;\t'), maxLength: 300 })
  fc.assert(fc.property(mixed, header => Array.isArray(parse(header))))

  for (const piece of ['"\\', 'a=', 'a =', ' ', ',', '\\"', 'a b']) {
    t.ok(parse(`Bearer realm="${piece.repeat(100_000)}`).length > 0, piece)
  }
})

t.test('parseChallenges() finds what was written, whatever is in the values', async () => {
  const value = fc.string({ unit: 'binary-ascii', maxLength: 40 })
  fc.assert(
    fc.property(value, value, (realm, service) => {
      const quote = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`
      const header = `Basic realm=${quote(service)}, Bearer realm=${quote(realm)},service=${quote(service)}`
      const [basic, bearer] = parseChallenges(header)
      return (
        basic?.parameters.get('realm') === service &&
        bearer?.parameters.get('realm') === realm &&
        bearer.parameters.get('service') === service
      )
    }),
  )
})
