#!/usr/bin/env node
// Runs the fault-injecting upstream (fault-upstream.ts) by hand, or as a child of a benchmark:
//
//   node test/support/fault-upstream.mjs --to http://127.0.0.1:5000 --latency 20ms --rate 50MB
//   node test/support/fault-upstream.mjs --help
//
// Node 20 does not read TypeScript, so that esbuild, which `make` builds with, translates it here, in memory.
import { buildSync } from 'esbuild'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import readline from 'node:readline'

if (process.argv[1] === import.meta.filename) await run()

/**
 * Starts the program as a process of its own: { url, cdnUrl, tokenUrl, controlUrl, set(faults), stats(), reset(), stop() }.
 * `args` are those of the command line.
 */
export async function spawnFaultUpstream(args) {
  const child = spawn(process.execPath, [import.meta.filename, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const ready = once(readline.createInterface({ input: child.stdout }), 'line')
  const line = await Promise.race([ready, exited.then(() => undefined)])
  if (line === undefined)
    throw new Error(`Cannot start the fault-injecting upstream: exited ${child.exitCode}`)
  const origins = JSON.parse(line[0])
  return {
    ...origins,
    set: faults => control('PUT', '/faults', JSON.stringify(faults)),
    stats: () => control('GET', '/stats'),
    reset: () => control('POST', '/stats/reset'),
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }

  async function control(method, where, body) {
    const answer = await fetch(origins.controlUrl + where, { method, body })
    const content = await answer.json()
    if (!answer.ok) throw new Error(`Cannot control the fault-injecting upstream: ${content.error}`)
    return content
  }
}

async function run() {
  const { outputFiles } = buildSync({
    entryPoints: [path.join(import.meta.dirname, 'faults/main.ts')],
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    write: false,
    sourcemap: 'inline',
  })
  const { main } = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
  )
  const end = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => end.abort())
  process.exitCode = await main(process.argv.slice(2), {
    out: text => process.stdout.write(text),
    error: text => process.stderr.write(text),
    signal: end.signal,
  })
}
