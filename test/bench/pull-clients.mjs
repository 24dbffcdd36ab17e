// Many clients in a process of their own, so that they and what the benchmark itself does do not wait for each other.
// They make containerd's requests (HEAD of the tag, GET of the manifest by digest, then config and layers, three at a
// time, over kept connections) and read bodies without hashing them.
//
// Forked by startClients(). A message in is a job { id, kind: 'pull' | 'manifests', url, images, clients, idleMs, limitMs }:
// `images` are { name, tag }, one for each pull or request; each client takes the next as soon as it is free. A request
// fails after `idleMs` without a byte, and nothing is begun after `limitMs`. The message out has the id and the result.
import { fork } from 'node:child_process'
import http from 'node:http'
import { manifestType } from './client.mjs'

const layersAtOnce = 3
const acceptManifests = [
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  manifestType,
  'application/vnd.oci.image.index.v1+json',
  '*/*',
].join(', ')
const acceptEncoding = 'zstd;q=1.0, gzip;q=0.8, deflate;q=0.5'

if (process.argv[1] === import.meta.filename) {
  process.on('message', async job => process.send({ id: job.id, result: await run(job) }))
}

/** Starts the process: { pull(job), manifests(job), stop() }. */
export function startClients() {
  const child = fork(import.meta.filename)
  const waiting = new Map()
  let jobs = 0
  child.on('message', ({ id, result }) => {
    waiting.get(id)?.resolve(result)
    waiting.delete(id)
  })
  child.on('exit', () => {
    for (const { reject } of waiting.values()) reject(new Error('Cannot measure: the clients have ended'))
  })
  const ask = job =>
    new Promise((resolve, reject) => {
      const id = ++jobs
      waiting.set(id, { resolve, reject })
      child.send({ ...job, id }, error => error && reject(error))
    })
  return {
    /** { attempted, succeeded, seconds, bytes, firstByteMs: of each layer, errors: the first few }. */
    pull: job => ask({ ...job, kind: 'pull' }),
    /** GETs of manifests by tag: { attempted, succeeded, seconds, ms: of each that succeeded, errors }. */
    manifests: job => ask({ ...job, kind: 'manifests' }),
    stop: () => child.kill(),
  }
}

async function run({ kind, url, images, clients, idleMs, limitMs = Infinity }) {
  const totals = { attempted: 0, succeeded: 0, bytes: 0, firstByteMs: [], ms: [], errors: [] }
  const startedAt = performance.now()
  const client = async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: layersAtOnce })
    const ask = (method, path, headers) => request(method, url + path, { headers, agent, idleMs })
    try {
      while (totals.attempted < images.length && performance.now() - startedAt < limitMs) {
        const image = images[totals.attempted++]
        await (kind === 'pull' ? pull(image, ask, totals) : getManifest(image, ask, totals)).then(
          () => totals.succeeded++,
          error => totals.errors.length < 3 && totals.errors.push(error.message),
        )
      }
    } finally {
      agent.destroy()
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return { ...totals, seconds: (performance.now() - startedAt) / 1_000 }
}

async function pull({ name, tag }, ask, totals) {
  const head = await ask('HEAD', `/v2/${name}/manifests/${tag}`, { accept: acceptManifests })
  const digest = head.headers['docker-content-digest']
  const path = `/v2/${name}/manifests/${digest}`
  const answer = await ask('GET', path, { accept: `${head.headers['content-type']}, */*` })
  const { config, layers } = JSON.parse(answer.text)
  totals.bytes += answer.bytes
  const wanted = [config, ...layers]
  const fetchNext = async () => {
    for (let blob = wanted.shift(); blob !== undefined; blob = wanted.shift()) {
      const { bytes, firstByteMs } = await ask('GET', `/v2/${name}/blobs/${blob.digest}`, {
        accept: `${blob.mediaType}, */*`,
        'accept-encoding': acceptEncoding,
      })
      if (bytes !== blob.size) throw new Error(`${blob.digest}: ${bytes} bytes of ${blob.size}`)
      totals.bytes += bytes
      if (blob !== config) totals.firstByteMs.push(firstByteMs)
    }
  }
  await Promise.all(Array.from({ length: layersAtOnce }, fetchNext))
}

async function getManifest({ name, tag }, ask, totals) {
  const startedAt = performance.now()
  await ask('GET', `/v2/${name}/manifests/${tag}`, { accept: acceptManifests })
  totals.ms.push(performance.now() - startedAt)
}

/** Any status but 200 is an error. The text is kept of small bodies alone. */
function request(method, url, { headers, agent, idleMs }) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now()
    const outgoing = http.request(url, { method, headers, agent })
    outgoing.setTimeout(idleMs, () =>
      outgoing.destroy(new Error(`${method} ${url}: nothing came for ${idleMs} ms`)),
    )
    outgoing.on('error', reject)
    outgoing.on('response', answer => {
      const { statusCode, headers } = answer
      const chunks = []
      let bytes = 0
      let firstByteMs
      answer.on('data', chunk => {
        firstByteMs ??= performance.now() - startedAt
        bytes += chunk.length
        if (bytes < 65_536) chunks.push(chunk)
      })
      answer.on('error', reject)
      answer.on('end', () => {
        if (statusCode !== 200) reject(new Error(`${method} ${url}: ${statusCode}`))
        else resolve({ headers, bytes, firstByteMs, text: Buffer.concat(chunks).toString() })
      })
    })
    outgoing.end()
  })
}
