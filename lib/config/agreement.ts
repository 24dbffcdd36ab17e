// What two keys of the configuration must agree on. It looks at the file as written, so that these problems are
// reported beside those of single values, not only once those are mended.
import { accessProblems } from './access-agreement.ts'
import { parseAddress } from './address.ts'
import { show, valueAt, type Problem } from './problems.ts'
import { driversElsewhere } from './sections.ts'
import { tlsProblems, tlsRemarks } from './tls-agreement.ts'

/** The storage drivers that the configuration names, of those that there are anywhere. */
export function driversIn(tree: unknown, known: readonly string[]): readonly string[] {
  const storage = valueAt(tree, ['storage'])
  const names = [...known, ...driversElsewhere]
  if (typeof storage === 'string') return names.includes(storage) ? [storage] : []
  return names.filter(name => valueAt(storage, [name]) !== undefined)
}

/** Every disagreement; empty where there is none. `drivers` are the names of the storage drivers that there are. */
export function disagreements(tree: unknown, drivers: readonly string[]): readonly Problem[] {
  return [
    ...driverProblems(tree, drivers),
    ...addressProblems(tree),
    ...tlsProblems(tree),
    ...accessProblems(tree),
    ...nameProblems(tree),
  ]
}

/** What counts for nothing because of another key, a line each. */
export function remarks(tree: unknown): readonly string[] {
  return [...tlsRemarks(tree)]
}

function* driverProblems(tree: unknown, drivers: readonly string[]): Generator<Problem> {
  const named = driversIn(tree, drivers)
  if (named.length === 1) return
  const found = named.length === 0 ? 'no driver' : `the drivers ${named.join(' and ')}`
  yield { path: ['storage'], found, expected: `exactly one of ${drivers.join(', ')}` }
}

function* addressProblems(tree: unknown): Generator<Problem> {
  const paths = [['http', 'debug', 'addr']]
  if (valueAt(tree, ['http', 'net']) !== 'unix') paths.unshift(['http', 'addr'])
  for (const path of paths) {
    const address = valueAt(tree, path)
    if (typeof address !== 'string' || parseAddress(address) !== undefined) continue
    yield { path, found: show(address), expected: 'host:port, such as :5000 or 127.0.0.1:5000' }
  }
}

/** What is reported, counted and shown under a name must be the only one of that name. */
function* nameProblems(tree: unknown): Generator<Problem> {
  yield* repeated(tree, ['notifications', 'endpoints'], 'name')
  const checks = [
    { list: 'file', key: 'file' },
    { list: 'http', key: 'uri' },
    { list: 'tcp', key: 'addr' },
  ]
  for (const { list, key } of checks) yield* repeated(tree, ['health', list], key)
}

function* repeated(tree: unknown, path: readonly string[], key: string): Generator<Problem> {
  const list = valueAt(tree, path)
  const seen = new Set<unknown>()
  for (const [index, one] of Array.isArray(list) ? list.entries() : []) {
    const name = valueAt(one, [key])
    if (typeof name === 'string' && name !== '' && seen.has(name))
      yield {
        path: [...path, index, key],
        found: show(name),
        expected: `another ${key} than those before it`,
      }
    seen.add(name)
  }
}
