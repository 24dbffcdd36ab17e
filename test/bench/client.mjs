// The clients of the benchmark: pushes over node:http, small requests by wrk, large downloads by curl. wrk and curl are
// cheap and other programs than the measured ones, so that the load costs them little.
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { buffer, text } from 'node:stream/consumers'

export const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const agent = new http.Agent({ keepAlive: true, maxSockets: 512 })

export function digestOf(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** One request; the answer with its whole body. */
export async function request(method, url, { headers = {}, body } = {}) {
  const outgoing = http.request(url, { method, headers, agent })
  outgoing.end(body)
  const [answer] = await once(outgoing, 'response')
  return { status: answer.statusCode, headers: answer.headers, body: await buffer(answer) }
}

/** POST, PATCH, PUT, as docker does it. */
export async function pushBlob(url, repository, blob) {
  const started = await request('POST', `${url}/v2/${repository}/blobs/uploads/`, {
    headers: { 'content-length': 0 },
  })
  expect(started, 202)
  const patched = await request('PATCH', new URL(started.headers.location, url), {
    headers: { 'content-type': 'application/octet-stream', 'content-length': blob.length },
    body: blob,
  })
  expect(patched, 202)
  const last = new URL(patched.headers.location, url)
  last.searchParams.set('digest', digestOf(blob))
  expect(await request('PUT', last, { headers: { 'content-length': 0 } }), 201)
}

/** Pushes layers, a config of its own and the manifest; returns the digest of the manifest. */
export async function pushImage(url, repository, tag, layers) {
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', nonce: randomBytes(8).toString('hex') }),
  )
  for (const blob of [config, ...layers]) await pushBlob(url, repository, blob)
  const describe = (mediaType, bytes) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: describe('application/vnd.oci.image.config.v1+json', config),
      layers: layers.map(layer => describe('application/vnd.oci.image.layer.v1.tar', layer)),
    }),
  )
  const headers = { 'content-type': manifestType, 'content-length': manifest.length }
  expect(await request('PUT', `${url}/v2/${repository}/manifests/${tag}`, { headers, body: manifest }), 201)
  return digestOf(manifest)
}

/** Small requests over 32 connections for `seconds`: how many, how many a second, and the slowest hundredth. */
export async function wrk(url, seconds) {
  const report = await run('wrk', [
    '-t1',
    '-c32',
    `-d${seconds}s`,
    '--latency',
    '-H',
    `Accept: ${manifestType}`,
    url,
  ])
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(report)?.[1]
  if (bad !== undefined) throw new Error(`Cannot measure ${url}: ${bad} bad answers`)
  const socketErrors = /Socket errors: (.*)/.exec(report)?.[1]
  return {
    operations: Number(/(\d+) requests in/.exec(report)?.[1]),
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(report)?.[1]),
    note: `p99 ${/99%\s+(\S+)/.exec(report)?.[1]}${socketErrors === undefined ? '' : `, ${socketErrors}`}`,
  }
}

/** Downloads a URL `count` times at once; seconds and bytes altogether. */
export async function download(url, count) {
  const startedAt = performance.now()
  const reports = await Promise.all(
    Array.from({ length: count }, () =>
      run('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code} %{size_download}', url]),
    ),
  )
  const seconds = (performance.now() - startedAt) / 1_000
  const bytes = reports.map(report => {
    const [status, size] = report.trim().split(' ')
    if (status !== '200') throw new Error(`Cannot download ${url}: ${report}`)
    return Number(size)
  })
  return { seconds, bytes: bytes.reduce((a, b) => a + b, 0) }
}

/** A relay before an upstream that counts what is asked of it. */
export async function startMeter(target) {
  const meter = { url: '', bytes: 0, requests: 0, close }
  const relays = new http.Agent({ keepAlive: true })
  const server = http.createServer((incoming, answer) => {
    meter.requests++
    relay(incoming, answer).catch(() => answer.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  meter.url = `http://127.0.0.1:${server.address().port}`
  return meter

  async function relay(incoming, answer) {
    const headers = { ...incoming.headers, host: new URL(target).host }
    const outgoing = http.request(target + incoming.url, { method: incoming.method, headers, agent: relays })
    outgoing.end()
    const [upstream] = await once(outgoing, 'response')
    answer.once('close', () => upstream.destroy())
    answer.writeHead(upstream.statusCode, upstream.headers)
    for await (const chunk of upstream) {
      meter.bytes += chunk.length
      if (!answer.write(chunk)) await once(answer, 'drain')
    }
    answer.end()
  }

  function close() {
    server.closeAllConnections()
    server.close()
    relays.destroy()
  }
}

export function closeClients() {
  agent.destroy()
}

function expect(answer, status) {
  if (answer.status !== status) throw new Error(`Expected ${status}, got ${answer.status}: ${answer.body}`)
}

async function run(program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, error] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return out === '' ? error : out
}
