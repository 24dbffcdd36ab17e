#!/usr/bin/env node
// Benchmark: the same work for Entrepôt and for Debian's docker-registry, in turn, on this machine, in one run.
//
//   bench.mjs [--rounds 1] [--seconds 4] [--size-mib 256] [--only manifest,push,pull,mirror] [--no-install]
//            [--command bin/registry]
//
// Prints a table of rates with CPU time per operation, and writes .bench/last.json, which the next run compares itself
// with. Only ratios of one run mean anything: load generator and registries share the machine. docker-registry and wrk
// are installed where that is possible (root, apt-get); what is missing leaves a gap in the table, and is said.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { closeClients } from './client.mjs'
import { formatTable, readPrevious, summarize, writeLast } from './report.mjs'
import { measurePeer } from './workloads.mjs'

const project = path.resolve(import.meta.dirname, '../..')
const lastFile = path.join(project, '.bench/last.json')
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '4' },
    'size-mib': { type: 'string', default: '256' },
    only: { type: 'string', default: '' },
    command: { type: 'string', default: path.join(project, 'bin/registry') },
    'no-install': { type: 'boolean', default: false },
  },
})

if (!values['no-install']) {
  spawnSync(path.join(project, '.ci/install-tools'), ['docker-registry', 'wrk', 'curl'], { stdio: 'inherit' })
}
if (!isInstalled('curl')) throw new Error('Cannot measure: curl is not installed')
const ours = { name: 'Entrepôt', command: values.command }
const reference = { name: 'docker-registry', command: 'docker-registry' }
const peers = isInstalled(reference.command) ? [ours, reference] : [ours]
if (peers.length === 1) console.log('docker-registry is not installed: its column is missing')
const wrkMissing = !isInstalled('wrk')
if (wrkMissing) console.log('wrk is not installed: the rows of small requests are missing')

const prefixes = values.only.split(',').filter(Boolean)
const settings = {
  seconds: Number(values.seconds),
  sizeMib: Number(values['size-mib']),
  wanted: name => prefixes.length === 0 || prefixes.some(prefix => name.startsWith(prefix)),
  wrkMissing,
}
const results = new Map()
for (let round = 0; round < Number(values.rounds); round++) {
  for (const peer of peers) {
    await measurePeer(peer, peers.at(-1), settings, (workload, measurement) => {
      if (!results.has(workload)) results.set(workload, new Map())
      const byPeer = results.get(workload)
      byPeer.set(peer.name, [...(byPeer.get(peer.name) ?? []), measurement])
    })
  }
}
closeClients()

const summary = summarize(results)
const names = peers.map(peer => peer.name)
console.log(formatTable(summary, names, readPrevious(lastFile)).join('\n'))
writeLast(lastFile, {
  at: new Date().toISOString(),
  node: process.version,
  rounds: Number(values.rounds),
  summary,
})

function isInstalled(program) {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}
