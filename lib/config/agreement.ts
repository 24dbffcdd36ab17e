// What two keys of the configuration must agree on. It looks at the file as written, so that these problems are
// reported beside those of single values, not only once those are mended.
import { parseAddress } from './address.ts'
import { show, valueAt, type Problem } from './problems.ts'
import { driversElsewhere } from './sections.ts'

/** The storage drivers that the configuration names, of those that there are anywhere. */
export function driversIn(tree: unknown, known: readonly string[]): readonly string[] {
  const storage = valueAt(tree, ['storage'])
  const names = [...known, ...driversElsewhere]
  if (typeof storage === 'string') return names.includes(storage) ? [storage] : []
  return names.filter(name => valueAt(storage, [name]) !== undefined)
}

/** Every disagreement; empty where there is none. `drivers` are the names of the storage drivers that there are. */
export function disagreements(tree: unknown, drivers: readonly string[]): readonly Problem[] {
  return [...driverProblems(tree, drivers), ...addressProblems(tree), ...tlsProblems(tree)]
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

function* tlsProblems(tree: unknown): Generator<Problem> {
  const pair = ['certificate', 'key']
  const [given, missing] = pair.toSorted((a, b) => Number(isGiven(tree, b)) - Number(isGiven(tree, a)))
  if (given === undefined || missing === undefined) return
  if (!isGiven(tree, given) || isGiven(tree, missing)) return
  yield { path: ['http', 'tls', missing], found: 'nothing', expected: `a file, because there is a ${given}` }
}

function isGiven(tree: unknown, key: string): boolean {
  return Boolean(valueAt(tree, ['http', 'tls', key]))
}
