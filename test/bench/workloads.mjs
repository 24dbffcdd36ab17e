// What is measured. Each measurement is { value, unit, better: 'more' | 'less', digits?, cpuMicros?, note? }; `digits` are
// those after the point, none by default; `cpuMicros` is the CPU time that the registry's processes spent on one
// operation: a request, a push, or a MiB.
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf, download, manifestType, pushBlob, pushImage, request, startMeter, wrk } from './client.mjs'
import { cpuSeconds, peakMemoryMib, startRegistry } from './processes.mjs'

const mib = 1024 * 1024

/**
 * Runs everything wanted against one peer. `record(name, measurement)` takes the results; `settings` are
 * { seconds, sizeMib, wanted(name), wrkMissing }; `upstreamPeer` is the registry that is mirrored.
 */
export async function measurePeer(peer, upstreamPeer, settings, record) {
  const bench = {
    ...settings,
    record,
    small: randomBytes(200_000),
    large: randomBytes(settings.sizeMib * mib),
  }
  const registry = await startRegistry(peer)
  try {
    if (bench.wanted('start')) record('start', { value: registry.startMs, unit: 'ms', better: 'less' })
    recordMemory(registry, bench, 'memory idle')
    await measureSmallRequests(registry, bench)
    await measureTransfers(registry, bench)
    recordMemory(registry, bench, 'memory peak')
  } finally {
    await registry.stop()
  }
  if (bench.wanted('mirror')) await measureMirror(peer, upstreamPeer, bench)
}

async function measureSmallRequests(registry, bench) {
  const digest = await pushImage(registry.url, 'bench/app', 'latest', [bench.small])
  const base = `${registry.url}/v2/bench/app`
  await measureRequests(registry, bench, 'manifest by tag', `${base}/manifests/latest`)
  await measureRequests(registry, bench, 'manifest by digest', `${base}/manifests/${digest}`)
  await measureRequests(registry, bench, 'blob 200 kB', `${base}/blobs/${digestOf(bench.small)}`)
  await measureRequests(registry, bench, 'tags list', `${base}/tags/list`)
}

async function measureTransfers(registry, bench) {
  const { large, sizeMib } = bench
  await measure(registry, bench, `push ${sizeMib} MiB`, 'MiB/s', async () => {
    const startedAt = performance.now()
    await pushBlob(registry.url, 'bench/large', large)
    return { operations: sizeMib, perSecond: sizeMib / secondsSince(startedAt) }
  })
  await measure(registry, bench, 'push 4 kB ×16', 'push/s', async () => {
    const pushes = 400
    let begun = 0
    const startedAt = performance.now()
    const pusher = async () => {
      while (begun++ < pushes) await pushBlob(registry.url, 'bench/many', randomBytes(4_096))
    }
    await Promise.all(Array.from({ length: 16 }, pusher))
    return { operations: pushes, perSecond: pushes / secondsSince(startedAt) }
  })
  if (!bench.wanted('pull')) return
  await pushBlob(registry.url, 'bench/large', large)
  const url = `${registry.url}/v2/bench/large/blobs/${digestOf(large)}`
  await download(url, 1)
  for (const count of [1, 8])
    await measureDownload(registry, bench, `pull ${sizeMib} MiB ×${count}`, url, count)
}

async function measureMirror(peer, upstreamPeer, bench) {
  const upstream = await startRegistry(upstreamPeer)
  const meter = await startMeter(upstream.url)
  try {
    await pushImage(upstream.url, 'bench/app', 'latest', [bench.large])
    await download(`${upstream.url}/v2/bench/app/blobs/${digestOf(bench.large)}`, 1)
    for (const count of [1, 8]) await measureColdMirror(peer, meter, count, bench)
  } finally {
    meter.close()
    await upstream.stop()
  }
}

async function measureColdMirror(peer, meter, count, bench) {
  const mirror = await startRegistry(peer, meter.url)
  try {
    const manifestUrl = `${mirror.url}/v2/bench/app/manifests/latest`
    const { status } = await request('GET', manifestUrl, { headers: { accept: manifestType } })
    if (status !== 200) throw new Error(`Cannot mirror a manifest: ${status}`)
    const blobUrl = `${mirror.url}/v2/bench/app/blobs/${digestOf(bench.large)}`
    meter.bytes = 0
    await measureDownload(mirror, bench, `mirror cold ×${count}`, blobUrl, count, () => {
      return `upstream ${(meter.bytes / bench.large.length).toFixed(2)}×`
    })
    recordMemory(mirror, bench, `mirror memory ×${count}`)
    if (count > 1) return
    await sleep(500) // the blob is committed after its last byte went out
    await measureDownload(mirror, bench, 'mirror warm blob', blobUrl, 1)
    meter.requests = 0
    await measureRequests(
      mirror,
      bench,
      'mirror warm manifest',
      manifestUrl,
      () => `upstream ${meter.requests} requests`,
    )
  } finally {
    await mirror.stop()
  }
}

function measureDownload(registry, bench, name, url, count, note) {
  return measure(registry, bench, name, 'MiB/s', async () => {
    const { seconds, bytes } = await download(url, count)
    return { operations: bytes / mib, perSecond: bytes / mib / seconds, note: note?.() }
  })
}

async function measureRequests(registry, bench, name, url, note) {
  if (bench.wrkMissing) return
  await measure(registry, bench, name, 'req/s', async () => {
    const result = await wrk(url, bench.seconds)
    return { ...result, note: [result.note, note?.()].filter(Boolean).join(', ') }
  })
}

async function measure(registry, bench, name, unit, work) {
  if (!bench.wanted(name)) return
  const before = cpuSeconds(registry.pid)
  const { operations, perSecond, note } = await work()
  const cpuMicros = ((cpuSeconds(registry.pid) - before) * 1e6) / operations
  bench.record(name, { value: perSecond, unit, better: 'more', cpuMicros, note })
}

function recordMemory(registry, bench, name) {
  if (!bench.wanted(name)) return
  bench.record(name, { value: peakMemoryMib(registry.pid), unit: 'MiB', better: 'less' })
}

function secondsSince(startedAt) {
  return (performance.now() - startedAt) / 1_000
}
