#!/usr/bin/env node
// Benchmark of mirrors: Entrepôt and Debian's docker-registry as pull-through caches of the same registry, in turn, in one
// run. Between them and that registry stands the fault-injecting upstream: 20 ms away, 50 MB/s a connection, and at times
// dead, answering 429, or silent.
//
//   bench-mirror.mjs [--quick] [--rounds 3] [--only cold,warm,dead,answering,black-holed,disk] [--no-install]
//                    [--command bin/registry]
//
// Prints a table of medians and writes .bench/mirror.json (mirror-quick.json for --quick, which is a trial in small sizes),
// which the next run compares itself with. `SUT` is another way to say --command. Folders are made under $TMPDIR; the full
// size takes 12 GB there.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { spawnFaultUpstream } from '../support/fault-upstream.mjs'
import { closeClients } from './client.mjs'
import { distance, measureDisk, measureMirror, pushImages } from './mirror-workloads.mjs'
import { startRegistry } from './processes.mjs'
import { startClients } from './pull-clients.mjs'
import { formatTable, readPrevious, summarize, writeLast } from './report.mjs'

const sizes = {
  /** Of each of the four layers of the image that is pulled cold. */
  layerBytes: 100_000_000,
  clients: [1, 10, 50],
  warmPulls: 1_000,
  wrkSeconds: 4,
  /** Small images that are cached when the upstream fails. */
  tags: 50,
  outageRequests: 1_000,
  concurrency: 20,
  /** A request without an answer is given up after this, as is a body without a byte. */
  idleMs: 10_000,
  /** A cold pull waits longer: a mirror may fetch everything before it sends anything. */
  coldIdleMs: 300_000,
  /** Nothing is begun after this, so that a mirror that lets every request wait ends some time. */
  limitMs: 60_000,
  capBytes: 1_000_000_000,
  streamBytes: 5_000_000_000,
  sampleMs: 100,
}
const quickSizes = {
  ...sizes,
  layerBytes: 2_000_000,
  warmPulls: 200,
  wrkSeconds: 1,
  outageRequests: 200,
  idleMs: 3_000,
  limitMs: 5_000,
  capBytes: 40_000_000,
  streamBytes: 200_000_000,
}

const project = path.resolve(import.meta.dirname, '../..')
const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string', default: '' },
    command: { type: 'string', default: process.env.SUT ?? path.join(project, 'bin/registry') },
    'no-install': { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3))
const lastFile = path.join(project, `.bench/mirror${values.quick ? '-quick' : ''}.json`)

if (!values['no-install']) {
  spawnSync(path.join(project, '.ci/install-tools'), ['docker-registry', 'wrk'], { stdio: 'inherit' })
}
const ours = { name: 'Entrepôt', command: values.command }
const reference = { name: 'docker-registry', command: 'docker-registry', isReference: true }
const peers = isInstalled(reference.command) ? [ours, reference] : [ours]
if (peers.length === 1) console.log('docker-registry is not installed: its column is missing')
const wrkMissing = !isInstalled('wrk')
if (wrkMissing) console.log('wrk is not installed: the row of manifests a second is missing')

const prefixes = values.only.split(',').filter(Boolean)
const wanted = name => prefixes.length === 0 || prefixes.some(prefix => name.startsWith(prefix))
const results = new Map()

const upstream = await startRegistry(peers.at(-1))
const clients = startClients()
// Whatever waits for the clients fails then, and everything that was started is stopped and removed.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => clients.stop())
let faults
try {
  faults = await spawnFaultUpstream(['--to', upstream.url, '--faults', JSON.stringify(distance)])
  const settings = { ...(values.quick ? quickSizes : sizes), wrkMissing }
  await pushImages(upstream, settings)
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) {
      const record = (workload, measurement) => keep(workload, peer, measurement)
      const bench = { upstream, faults, clients, settings, wanted, record }
      await measureMirror(peer, bench)
      // Five gigabytes are enough once, and the reference knows no limit.
      if (round === 0 && peer === ours && wanted('disk')) await measureDisk(peer, bench)
    }
  }
} finally {
  closeClients()
  clients.stop()
  await faults?.stop()
  await upstream.stop()
}

const summary = summarize(results)
const names = peers.map(peer => peer.name)
console.log(formatTable(summary, names, readPrevious(lastFile)).join('\n'))
writeLast(lastFile, {
  at: new Date().toISOString(),
  node: process.version,
  rounds,
  quick: values.quick,
  summary,
})

/** Says it at once, too: the whole takes a quarter of an hour. */
function keep(workload, peer, measurement) {
  const { value, unit, digits = 0 } = measurement
  console.error(`${peer.name}, ${workload}: ${value.toFixed(digits)} ${unit}`)
  if (!results.has(workload)) results.set(workload, new Map())
  const byPeer = results.get(workload)
  byPeer.set(peer.name, [...(byPeer.get(peer.name) ?? []), measurement])
}

function isInstalled(program) {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}
