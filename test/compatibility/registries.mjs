// The two registries that are held against each other, started from the same configuration file on free ports.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const project = path.resolve(import.meta.dirname, '../..')
export const programs = {
  reference: process.env.REFERENCE ?? 'docker-registry',
  ours: process.env.SUT ?? path.join(project, 'bin/registry'),
}

/** `configuration` is YAML without addresses; `files` are written beside it, and `$DIR` in it is their folder. */
export async function startRegistry(program, configuration, files = {}) {
  const directory = mkdtempSync(path.join(tmpdir(), 'entrepot-compatibility-'))
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(directory, name), content)
  const file = path.join(directory, 'config.yml')
  writeFileSync(file, configuration.replaceAll('$DIR', directory))
  const port = await freePort()
  const env = {
    PATH: process.env.PATH,
    HOME: directory,
    OTEL_TRACES_EXPORTER: 'none',
    REGISTRY_HTTP_ADDR: `127.0.0.1:${port}`,
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: path.join(directory, 'data'),
  }
  const child = spawn(program, ['serve', file], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', chunk => (output = (output + chunk).slice(-10_000)))
  const ended = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`
  try {
    await answers(url, child)
  } catch (cause) {
    child.kill('SIGKILL')
    throw new Error(`Cannot start ${program}:\n${output}`, { cause })
  }
  return {
    url,
    async stop() {
      child.kill('SIGKILL')
      await ended
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function answers(url, child) {
  for (let attempt = 0; attempt < 400; attempt++) {
    if (child.exitCode !== null) throw new Error('it ended')
    const answer = await fetch(`${url}/`).catch(() => undefined)
    if (answer !== undefined) return
    await delay(50)
  }
  throw new Error('it does not answer')
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
