// What is measured of a mirror: pulls of what it does not have, requests for what it has, pulls while its upstream is
// down, and what it keeps within its limit. Measurements are those of workloads.mjs.
import { randomBytes } from 'node:crypto'
import { lstat, readdir } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pushImage, wrk } from './client.mjs'
import { peakMemoryMib, startRegistry } from './processes.mjs'

const megabyte = 1_000_000
const layers = 4
const large = { name: 'bench/large', tag: 'latest' }

/** What makes the upstream a distant one, all the time. */
export const distance = { rules: [{ latencyMs: 20 }, { bytesPerSecond: 50 * megabyte }] }

const outages = {
  dead: { ...distance, listening: false },
  'answering 429': {
    rules: [...distance.rules, { status: 429, headers: { 'retry-after': '60' } }],
  },
  'black-holed': { rules: [{ blackHole: true }] },
}

/** Keys of the proxy section that the reference does not have. */
const shortLived = 'cache: {tagttl: 1s}'
const limitedTo = bytes => `cache: {tagttl: 1s, maxsize: ${bytes / megabyte}MB}`
const pastItsTtlMs = 1_500

/** Pushes what all mirrors are asked for: one large image, and small ones that share their layers. */
export async function pushImages(upstream, { layerBytes, tags }) {
  await pushImage(
    upstream.url,
    large.name,
    large.tag,
    Array.from({ length: layers }, () => randomBytes(layerBytes)),
  )
  const shared = Array.from({ length: 3 }, () => randomBytes(100_000))
  for (const { name, tag } of smallImages(tags)) await pushImage(upstream.url, name, tag, shared)
}

/**
 * Measures one peer. `bench` is { upstream, faults, clients, settings, wanted(name), record(name, measurement) }: the
 * real registry, the faults in front of it (spawnFaultUpstream()), and who pulls (startClients()).
 */
export async function measureMirror(peer, bench) {
  for (const count of bench.settings.clients) {
    if (bench.wanted('cold')) await measureCold(peer, count, bench)
  }
  if (bench.wanted('warm')) await measureWarm(peer, bench)
  for (const [outage, faults] of Object.entries(outages)) {
    if (bench.wanted(outage)) await measureOutage(peer, outage, faults, bench)
  }
}

async function measureCold(peer, count, bench) {
  const { faults, clients, settings, record } = bench
  await withMirror(peer, bench, '', async mirror => {
    await faults.reset()
    const images = Array.from({ length: count }, () => large)
    const result = await clients.pull({
      url: mirror.url,
      images,
      clients: count,
      idleMs: settings.coldIdleMs,
    })
    const { bytes } = await faults.stats()
    if (result.succeeded === 0) throw new Error(`Cannot pull from ${peer.name}: ${result.errors[0]}`)
    const imageBytes = layers * settings.layerBytes
    const row = (name, value, unit, digits, note) =>
      record(`cold ×${count}: ${name}`, { value, unit, better: 'less', digits, note })
    row('upstream ÷ image', (bytes.blob + bytes.manifest) / imageBytes, '×', 2, failuresOf(peer, result))
    row('first byte p50', percentile(result.firstByteMs, 0.5), 'ms', 0)
    row('first byte p99', percentile(result.firstByteMs, 0.99), 'ms', 0)
    row('wall time', result.seconds, 's', 1)
    row('peak memory', peakMemoryMib(mirror.pid), 'MiB', 0)
  })
}

async function measureWarm(peer, bench) {
  const { faults, clients, settings, record } = bench
  await withMirror(peer, bench, '', async mirror => {
    const [image] = smallImages(1)
    const job = { url: mirror.url, clients: settings.concurrency, idleMs: settings.idleMs }
    await warmUp(bench, { ...job, images: [image] })
    if (!settings.wrkMissing) {
      const manifestUrl = `${mirror.url}/v2/${image.name}/manifests/${image.tag}`
      const { perSecond, note } = await wrk(manifestUrl, settings.wrkSeconds)
      record('warm: manifests', { value: perSecond, unit: 'req/s', better: 'more', note })
    }
    await faults.reset()
    const images = Array.from({ length: settings.warmPulls }, () => image)
    const result = await clients.pull({ ...job, images, limitMs: settings.limitMs })
    const { requests } = await faults.stats()
    record('warm: upstream requests', {
      value: (requests / result.attempted) * 1_000,
      unit: 'per 1,000 pulls',
      better: 'less',
      note: failuresOf(peer, result),
    })
  })
}

async function measureOutage(peer, outage, outageFaults, bench) {
  const { faults, clients, settings, record } = bench
  await withMirror(peer, bench, peer.isReference ? '' : shortLived, async mirror => {
    const tagged = smallImages(settings.tags)
    const job = { url: mirror.url, clients: settings.concurrency, idleMs: settings.idleMs }
    await warmUp(bench, { ...job, images: tagged })
    await faults.set(outageFaults)
    try {
      const images = Array.from({ length: settings.outageRequests }, (_, n) => tagged[n % tagged.length])
      const manifests = await clients.manifests({ ...job, images, limitMs: settings.limitMs })
      const pulls = await clients.pull({ ...job, images: [...tagged, ...tagged], limitMs: settings.limitMs })
      const share = (name, result) =>
        record(`${outage}: ${name}`, {
          value: (result.succeeded / result.attempted) * 100,
          unit: '%',
          better: 'more',
          digits: 1,
          note: failuresOf(peer, result),
        })
      share('pulls that succeed', pulls)
      share('manifests answered', manifests)
      if (manifests.succeeded === 0) return
      for (const p of [0.5, 0.99]) {
        const value = percentile(manifests.ms, p)
        record(`${outage}: manifest p${p * 100}`, { value, unit: 'ms', better: 'less', digits: 1 })
      }
    } finally {
      await faults.set(distance)
    }
  })
}

/** Streams new images through a mirror that may keep a part of them, and looks at its folder all the while. */
export async function measureDisk(peer, bench) {
  const { upstream, clients, settings, record } = bench
  const { capBytes, streamBytes } = settings
  const imageBytes = capBytes / 10
  await withMirror(peer, bench, limitedTo(capBytes), async mirror => {
    const watch = watchDisk(mirror.root, settings.sampleMs)
    const failed = []
    let next = 0
    const stream = async () => {
      for (let n = next++; n < streamBytes / imageBytes; n = next++) {
        const image = { name: `bench/stream-${n}`, tag: 'latest' }
        await pushImage(upstream.url, image.name, image.tag, [randomBytes(imageBytes)])
        const job = { url: mirror.url, images: [image], clients: 1, idleMs: settings.coldIdleMs }
        const result = await clients.pull(job)
        failed.push(...result.errors)
      }
    }
    try {
      await Promise.all([stream(), stream()])
    } finally {
      await watch.stop()
    }
    const facts = [
      `${streamBytes / megabyte} MB streamed, 2 × ${imageBytes / megabyte} MB at a time`,
      `limit ${capBytes / megabyte} MB`,
      `${watch.samples} samples`,
      ...(failed.length === 0 ? [] : [`${failed.length} failed: ${failed[0]}`]),
    ]
    record('disk: most ÷ limit', {
      value: watch.mostBytes / capBytes,
      unit: '×',
      better: 'less',
      digits: 3,
      note: facts.join(', '),
    })
  })
}

/** Runs `work` with a mirror that has nothing yet. */
async function withMirror(peer, { faults }, proxyKeys, work) {
  const mirror = await startRegistry(peer, faults.url, proxyKeys)
  try {
    await work(mirror)
  } finally {
    await mirror.stop()
  }
}

/** Pulls each image once, and waits until mirrors have stored what they sent on, and until short lives are over. */
async function warmUp({ clients, settings }, job) {
  const { attempted, succeeded, errors } = await clients.pull({ ...job, idleMs: settings.coldIdleMs })
  if (succeeded < attempted) throw new Error(`Cannot fill the mirror: ${errors[0]}`)
  await sleep(pastItsTtlMs)
}

function smallImages(tags) {
  return Array.from({ length: tags }, (_, n) => ({ name: 'bench/small', tag: `t${n}` }))
}

function failuresOf({ name }, { attempted, succeeded, errors }) {
  return succeeded === attempted
    ? undefined
    : `${name}: ${attempted - succeeded} of ${attempted} failed, ${errors[0]}`
}

function percentile(values, share) {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]
}

/** Adds up, time and again, what the files of a folder take up on disk, as `du` does. */
function watchDisk(root, everyMs) {
  const watch = { mostBytes: 0, samples: 0, stop }
  const end = new AbortController()
  const watched = (async () => {
    while (!end.signal.aborted) {
      watch.mostBytes = Math.max(watch.mostBytes, await diskBytes(root))
      watch.samples++
      await sleep(everyMs, undefined, { signal: end.signal }).catch(() => {})
    }
  })()
  return watch

  async function stop() {
    end.abort()
    await watched
  }
}

async function diskBytes(folder) {
  const entries = await readdir(folder, { withFileTypes: true }).catch(unlessGone([]))
  const sizes = entries.map(async entry => {
    const file = path.join(folder, entry.name)
    if (entry.isDirectory()) return await diskBytes(file)
    const { blocks } = await lstat(file).catch(unlessGone({ blocks: 0 }))
    return blocks * 512
  })
  return (await Promise.all(sizes)).reduce((a, b) => a + b, 0)
}

/** What is removed while it is looked at takes up nothing. */
function unlessGone(value) {
  return error => {
    if (error.code !== 'ENOENT') throw error
    return value
  }
}
