// Registries as processes: started on a free port over an empty folder, measured through /proc, ended by their own pid.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/**
 * Starts `<command> serve <configuration>` and waits until it answers; `remote` makes it a pull-through cache, and
 * `proxyKeys` are further keys of its `proxy` section, as YAML. `root` is where it stores; `stop()` ends it and removes
 * its folder.
 */
export async function startRegistry(peer, remote, proxyKeys = '') {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'bench-'))
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const root = path.join(directory, 'root')
  const configuration = path.join(directory, 'config.yml')
  const logFile = path.join(directory, 'log')
  writeFileSync(configuration, configurationFor(root, port, remote, proxyKeys))
  const log = openSync(logFile, 'w')
  const child = spawn(peer.command, ['serve', configuration], {
    stdio: ['ignore', log, log],
    env: { ...process.env, OTEL_TRACES_EXPORTER: 'none' },
  })
  closeSync(log)
  const exited = once(child, 'exit')
  const registry = { peer, url, root, pid: child.pid, startMs: 0, stop }
  const startedAt = performance.now()
  try {
    await untilItAnswers(url, child, logFile)
  } catch (error) {
    await stop()
    throw error
  }
  registry.startMs = performance.now() - startedAt
  return registry

  async function stop() {
    child.kill('SIGTERM')
    await Promise.race([exited, sleep(8_000, undefined, { ref: false })])
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await exited
    rmSync(directory, { recursive: true, force: true })
  }
}

/** CPU seconds that a process and its children have used. */
export function cpuSeconds(pid) {
  const ticks = treeOf(pid).map(id => {
    const [userTicks, systemTicks] = statOf(id).slice(11, 13)
    return Number(userTicks) + Number(systemTicks)
  })
  return ticks.reduce((a, b) => a + b, 0) / ticksPerSecond
}

/** High-water mark of resident memory of a process and its children, MiB. */
export function peakMemoryMib(pid) {
  const kib = treeOf(pid).map(id =>
    Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0),
  )
  return kib.reduce((a, b) => a + b, 0) / 1024
}

function configurationFor(root, port, remote, proxyKeys) {
  return `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: ${root}, maxthreads: 100}
  delete: {enabled: true}
  cache: {blobdescriptor: inmemory}
http: {addr: "127.0.0.1:${port}", secret: bench}
${remote === undefined ? '' : `proxy: {remoteurl: "${remote}", ${proxyKeys}}`}
`
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

async function untilItAnswers(url, child, logFile) {
  for (let attempt = 0; attempt < 2_000; attempt++) {
    if (child.exitCode !== null) break
    const answer = await fetch(`${url}/v2/`).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.ok) return
    await sleep(5)
  }
  throw new Error(`Cannot start ${child.spawnfile}: ${readFileSync(logFile, 'utf8').slice(-2_000)}`)
}

/** The fields of /proc/<pid>/stat after the program's name; the first is the state, the second the parent. */
function statOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function treeOf(pid) {
  const children = new Map()
  for (const id of readdirSync('/proc').filter(name => /^\d+$/.test(name))) {
    try {
      const parent = Number(statOf(id)[1])
      children.set(parent, [...(children.get(parent) ?? []), Number(id)])
    } catch {
      // it ended between the two reads
    }
  }
  const tree = [pid]
  for (const id of tree) tree.push(...(children.get(id) ?? []))
  return tree
}
