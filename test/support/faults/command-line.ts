// The arguments of the fault-injecting upstream as a program. Those for faults make rules, as JSON does; `--faults` takes
// the JSON itself, for what they cannot say.
import { parseArgs } from 'node:util'
import { parseDuration, parseSize } from '../../../lib/config/units.ts'
import type { FaultUpstreamOptions } from '../fault-upstream.ts'
import type { Address } from './listener.ts'
import type { FaultsInput } from './schema.ts'

export const usage = `usage: fault-upstream --to URL [--listen HOST:PORT] [--control HOST:PORT] [FAULTS]

Faults of all requests:
  --latency 20ms          before the headers of each answer
  --rate 50MB             bytes a second of a connection
  --status 503            answer this in place of the registry, to the next --times N or to a --ratio 0.1 of them
  --header 'Name: value'  on every answer, or on those of --status; 'Name:' takes a header away; may be repeated
  --black-hole            accept and never answer
Faults of blobs:
  --cut 10MB              reset the connection after so much of a body, the first --times N
  --redirect              to another host and port, which refuses Authorization
  --refuse-head 405       answer HEADs with this
  --wrong-digest          invert a byte
  --truncate 10, --lengthen 10   bytes: end before the stated length, or add to the content
  --gzip claimed|applied  say Content-Encoding: gzip of what is none, or compress
Faults of blobs and manifests:
  --chunked               no Content-Length
  --content-digest absent|VALUE   of Docker-Content-Digest
Faults of manifests:
  --budget 100            so many GETs, counted down in ratelimit-remaining; then 429
Authentication:
  --auth                  want bearer tokens, after --token-latency 5s, of --credentials USER:PASSWORD or of anybody
Any:
  --faults JSON           as PUT /faults of the control endpoint takes it; its rules come after those above

Prints one line of JSON with the origins of its listeners when it is ready. Control: GET and PUT /faults, GET /stats,
POST /stats/reset.
`

const options = {
  to: { type: 'string' },
  listen: { type: 'string', default: '127.0.0.1:0' },
  control: { type: 'string', default: '127.0.0.1:0' },
  latency: { type: 'string' },
  rate: { type: 'string' },
  status: { type: 'string' },
  times: { type: 'string' },
  ratio: { type: 'string' },
  header: { type: 'string', multiple: true },
  'black-hole': { type: 'boolean', default: false },
  cut: { type: 'string' },
  redirect: { type: 'boolean', default: false },
  'refuse-head': { type: 'string' },
  'wrong-digest': { type: 'boolean', default: false },
  truncate: { type: 'string' },
  lengthen: { type: 'string' },
  gzip: { type: 'string' },
  chunked: { type: 'boolean', default: false },
  'content-digest': { type: 'string' },
  budget: { type: 'string' },
  auth: { type: 'boolean', default: false },
  'token-latency': { type: 'string' },
  credentials: { type: 'string' },
  faults: { type: 'string', default: '{}' },
} as const

type Values = ReturnType<typeof readArguments>
type Rule = NonNullable<FaultsInput['rules']>[number]

/** Throws a TypeError or SyntaxError that says which argument is wrong. Faults are checked by whoever takes them. */
export function parseCommandLine(argv: readonly string[]): FaultUpstreamOptions {
  const values = readArguments(argv)
  const { to = '' } = values
  if (!URL.canParse(to) || !/^https?:$/.test(new URL(to).protocol)) {
    throw new TypeError(`Cannot read --to "${to}": expected the URL of a registry`)
  }
  return {
    to,
    listen: addressOf('listen', values.listen),
    control: addressOf('control', values.control),
    faults: faultsOf(values),
  }
}

function readArguments(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options }).values
}

function faultsOf(values: Values): FaultsInput {
  const given = JSON.parse(values.faults) as FaultsInput
  const [username, password] = values.credentials?.split(/:(.*)/s) ?? []
  return {
    ...(values.auth && { auth: { username, password } }),
    ...given,
    rules: [...rulesOf(values), ...(given.rules ?? [])],
  }
}

function* rulesOf(values: Values): Generator<Rule> {
  const times = numberOf(values.times)
  const headers = headersOf(values.header ?? [])
  if (values.latency !== undefined) yield { latencyMs: durationOf('latency', values.latency) }
  if (values.rate !== undefined) yield { bytesPerSecond: sizeOf('rate', values.rate) }
  if (values.status !== undefined) {
    const ratio = numberOf(values.ratio)
    yield { status: numberOf(values.status), headers, times, ratio }
  } else if (values.header !== undefined) yield { headers }
  if (values['black-hole']) yield { blackHole: true }
  if (values['token-latency'] !== undefined) {
    yield { match: { kind: 'token' }, latencyMs: durationOf('token-latency', values['token-latency']) }
  }
  yield* blobRulesOf(values, times)
  const content: Rule = {
    ...(values.chunked && { chunked: true }),
    ...(values['content-digest'] !== undefined && {
      headers: {
        'docker-content-digest': values['content-digest'] === 'absent' ? null : values['content-digest'],
      },
    }),
  }
  if (Object.keys(content).length > 0) yield { match: { kind: ['blob', 'manifest'] }, ...content }
  if (values.budget !== undefined) {
    yield { match: { kind: 'manifest' }, budget: { limit: Number(values.budget) } }
  }
}

function* blobRulesOf(values: Values, times: number | undefined): Generator<Rule> {
  const match = { kind: 'blob' } as const
  if (values.redirect) yield { match, redirect: true }
  if (values['refuse-head'] !== undefined) {
    yield { match: { ...match, method: 'HEAD' }, status: Number(values['refuse-head']) }
  }
  if (values.cut !== undefined) yield { match, cut: { afterBytes: sizeOf('cut', values.cut), times } }
  if (values['wrong-digest']) yield { match, flipByteAt: 0 }
  if (values.truncate !== undefined) yield { match, truncateBy: sizeOf('truncate', values.truncate) }
  if (values.lengthen !== undefined) yield { match, lengthenBy: sizeOf('lengthen', values.lengthen) }
  if (values.gzip !== undefined) yield { match, gzip: values.gzip as 'claimed' | 'applied' }
}

function headersOf(lines: readonly string[]): Record<string, string | null> {
  return Object.fromEntries(
    lines.map(line => {
      const [, name, value] = /^([\w-]+): *(.*)$/.exec(line) ?? []
      if (name === undefined) throw new TypeError(`Cannot read --header "${line}": expected Name: value`)
      return [name.toLowerCase(), value || null]
    }),
  )
}

function addressOf(option: string, text: string): Address {
  const [, host = '', port = ''] = /^\[?([^[\]]+?)\]?:(\d+)$/.exec(text) ?? []
  if (host === '' || Number(port) > 65_535) throw unreadable(option, text, 'HOST:PORT')
  return { host, port: Number(port) }
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

function durationOf(option: string, text: string): number {
  // Without a unit it would be nanoseconds, as it is in configuration files.
  const milliseconds = /^\d+$/.test(text) ? undefined : parseDuration(text)
  if (milliseconds === undefined) throw unreadable(option, text, 'a duration such as 20ms')
  return milliseconds
}

function sizeOf(option: string, text: string): number {
  const bytes = parseSize(text)
  if (bytes === undefined) throw unreadable(option, text, 'a size such as 10MB')
  return bytes
}

function unreadable(option: string, text: string, wanted: string): TypeError {
  return new TypeError(`Cannot read --${option} "${text}": expected ${wanted}`)
}
