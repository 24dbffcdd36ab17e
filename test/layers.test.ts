// The walls of the house (docs/design): who may import whom, no cycles, one clock, one reader of the environment.
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import ts from 'typescript'

const root = path.resolve(import.meta.dirname, '..')

/** Lowest layer first. A layer is a list of rooms: folders of lib/, or single files directly in it. */
const layers: readonly (readonly string[])[] = [
  [
    'oci',
    'streams',
    'clock.ts',
    'in-parallel.ts',
    'keyed-lock.ts',
    'log-caller.ts',
    'log-mail.ts',
    'log-output.ts',
    'log.ts',
    'metrics.ts',
    'name-pattern.ts',
    'single-flight.ts',
    'tracing',
    'version.ts',
  ],
  ['config'],
  ['storage/driver', 'upstream', 'auth', 'notifications', 'coordination'],
  ['storage'],
  ['registry'],
  ['archive', 'proxy', 'eviction', 'maintenance'],
  ['http'],
  [
    'connections.ts',
    'listener',
    'listener.ts',
    'mirror.ts',
    'mirror-admin.ts',
    'mirror-events.ts',
    'mirrored-registries.ts',
    'offline-cache.ts',
    'server.ts',
    'services.ts',
    'stored-images.ts',
    'tls',
    'workers.ts',
  ],
  ['cli'],
]
/** Layers whose rooms do not know each other: the outside world, and the policies. */
const strangers = new Set([2, 5])

const files = readdirSync(path.join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts'))
  .sort()
const texts = new Map(files.map(file => [file, readFileSync(path.join(root, 'lib', file), 'utf8')]))
const imports = new Map(files.map(file => [file, importsOf(file, texts.get(file) ?? '')]))
/** Without imports of types alone, which are gone when the program runs. */
const valueImports = new Map(files.map(file => [file, importsOf(file, withoutTypes(texts.get(file) ?? ''))]))

t.test('every file of lib/ is in a room that has a layer', async t => {
  t.same(
    files.filter(file => placeOf(file) === undefined),
    [],
  )
})

t.test('an import only points down, and not to a neighbour where neighbours are strangers', async t => {
  const wrong: string[] = []
  for (const [file, targets] of imports) {
    for (const target of targets) if (!mayImport(file, target)) wrong.push(`${file} → ${target}`)
  }

  t.same(wrong, [])
})

t.test('lib/ imports nothing of ours from outside itself', async t => {
  const outside = [...imports.values()].flat().filter(target => target.startsWith('..'))

  t.same(outside, [])
})

t.test('no file waits for itself to be loaded, by whatever way round', async t => {
  const cycles: string[] = []
  const done = new Set<string>()
  function visit(file: string, way: readonly string[]): void {
    if (way.includes(file)) cycles.push([...way.slice(way.indexOf(file)), file].join(' → '))
    if (way.includes(file) || done.has(file)) return
    for (const target of valueImports.get(file) ?? []) visit(target, [...way, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])

  t.same(cycles, [])
})

t.test('only clock.ts reads the time or sets a timer', async t => {
  const time =
    /\bDate\.now\b|\bnew Date\(\s*\)|(?<!session\.)\bset(?:Timeout|Interval)\b|\bnode:timers\b|\bperformance\.now\b/

  t.same(
    files.filter(file => file !== 'clock.ts' && time.test(codeOf(file))),
    [],
  )
})

t.test('only cli/ reads the environment of the process', async t => {
  t.same(
    files.filter(file => !file.startsWith('cli/') && /\bprocess\.env\b/.test(codeOf(file))),
    [],
  )
})

t.test('nothing in lib/ ends the process', async t => {
  t.same(
    files.filter(file => /\bprocess\.(?:exit|abort|kill)\b/.test(codeOf(file))),
    [],
  )
})

function importsOf(file: string, text: string): readonly string[] {
  return ts
    .preProcessFile(text, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter(name => name.startsWith('.'))
    .map(name => path.join(path.dirname(file), name))
}

function withoutTypes(text: string): string {
  return text.replace(/^(?:import|export) type\s[^'"]*from '[^']*'/gm, '')
}

function mayImport(file: string, target: string): boolean {
  const from = placeOf(file)
  const to = placeOf(target)
  if (from === undefined || to === undefined) return true // said by other tests
  if (from.layer !== to.layer) return from.layer > to.layer
  return from.room === to.room || !strangers.has(from.layer)
}

/** The most precise room wins: storage/driver is not storage. */
function placeOf(file: string): { readonly layer: number; readonly room: string } | undefined {
  const places = layers.flatMap((rooms, layer) => rooms.map(room => ({ layer, room })))
  const [place] = places
    .filter(({ room }) => file === room || file.startsWith(`${room}/`))
    .sort((a, b) => b.room.length - a.room.length)
  return place
}

function codeOf(file: string): string {
  return (texts.get(file) ?? '').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}
