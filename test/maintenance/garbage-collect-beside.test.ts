// The command, in a process of its own, beside a server that clients push to, with the least grace that it takes. What
// the server has told to be stored must be there; a push may be refused, and is then made again.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/clock.ts'
import type { CollectReport } from '../../lib/maintenance/collection.ts'
import { startMirrorServer } from '../support/server-with.ts'
import { PushingClient, randomOf, type Counts } from './pushing-client.ts'

const seed = Number(process.env['GC_SEED'] ?? 20260818)
const durationMs = 7000

async function bundle(directory: string): Promise<string> {
  const program = path.join(directory, 'registry.mjs')
  await build({
    entryPoints: [fileURLToPath(new URL('../../bin/registry.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile: program,
    logLevel: 'error',
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  })
  return program
}

async function collectBeside(t: Test, program: string, config: string): Promise<CollectReport> {
  const options = ['--offline', '--grace', '0s', '--delete-untagged', '--json']
  const child = spawn(process.execPath, [program, 'garbage-collect', ...options, config])
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await ended) as [number | null]
  if (code !== 0) throw new Error(`garbage-collect ended with ${code}: ${err}`)
  return JSON.parse(out) as CollectReport
}

t.test(`The command beside a server loses nothing that can be reached (seed ${seed})`, async t => {
  const { root, url } = await startMirrorServer(t, '')
  const program = await bundle(root)
  const config = path.join(root, 'config.yml')
  await writeFile(config, `{version: 0.1, storage: {filesystem: {rootdirectory: "${root}"}}}`)
  const counts: Counts = { pushes: 0, refused: 0, deletes: 0, checks: 0 }
  const clients = [1, 2, 3].map(id => new PushingClient(url, id, randomOf(seed + id), counts))
  const untilMs = systemClock.now() + durationMs
  const isOver = () => systemClock.now() > untilMs
  const reports: CollectReport[] = []

  const working = clients.map(async client => {
    while (!isOver()) await client.step()
  })
  const collecting = (async () => {
    while (!isOver()) reports.push(await collectBeside(t, program, config))
  })()
  await Promise.all([collecting, ...working])
  for (const client of clients) await client.check()

  const removed = reports.map(report => report.removed.blobs).reduce((a, b) => a + b, 0)
  t.comment(JSON.stringify({ cycles: reports.length, removed, counts }))
  t.ok(counts.pushes > 10, 'there was something going on')
  t.ok(removed > 0, 'there was something to remove')
})
