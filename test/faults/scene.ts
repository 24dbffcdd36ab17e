// What every cell of the matrix starts from: a real registry with two images, a faulty upstream in front of it, and the
// whole mirror in front of that, which holds one of the images.
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { startFaultUpstream, type FaultUpstream } from '../support/fault-upstream.ts'
import type { FaultStats } from '../support/faults/stats.ts'
import type { FaultsInput } from '../support/faults/schema.ts'
import { manifestOf, pushBlob, putManifest, sha256 } from '../support/http-client.ts'
import { startMirrorServer, type MirrorServer } from '../support/server-with.ts'
import { QuickClock } from './quick-clock.ts'

/** `reset` closes connections in place of an answer. */
export type Wrong = FaultsInput | 'reset'

export interface Fault {
  readonly name: string
  readonly wrong: Wrong
  /** What is said of the upstream while nothing is wrong, such as that it wants a token. */
  readonly before?: FaultsInput
  /** More keys of the upstream in the mirror's configuration, as YAML. */
  readonly keys?: string
  /** The mirror learns of it from an answer that has nothing to do with what is asked then. */
  readonly isToldByOthers?: boolean
  /** It is about HEAD, which clients send to the mirror as well. */
  readonly isAskedWithHead?: boolean
  /** A copy has to be served while the upstream still owes its answer. */
  readonly isSlow?: boolean
}

export const repository = 'team/app'

/** An image of one layer. */
export interface Image {
  readonly tag: string
  readonly manifest: string
  readonly digest: string
  readonly layer: string
  readonly content: Buffer
}

export interface Images {
  /** The mirror has it from the beginning. */
  readonly held: Image
  readonly missing: Image
}

/** Bytes of a layer; rules of faults speak of places in it. */
export const layerBytes = 300_000

function imageOf(tag: string): Image {
  const content = randomBytes(layerBytes)
  const layer = sha256(content)
  const manifest = manifestOf(sha256(''), 0, [layer, layerBytes])
  return { tag, content, layer, manifest, digest: sha256(manifest) }
}

/** Pushes the images to the registry. */
export async function pushImages(url: string): Promise<Images> {
  const images = { held: imageOf('held'), missing: imageOf('missing') }
  await pushBlob(url, repository, '')
  for (const { tag, content, manifest } of Object.values(images)) {
    await pushBlob(url, repository, content)
    const pushed = await putManifest(url, repository, tag, manifest)
    if (pushed.status !== 201) throw new Error(`push of a manifest was answered ${pushed.status}`)
  }
  return images
}

export interface Registry {
  readonly url: string
  readonly images: Images
}

/** A registry that can go wrong. */
interface Faulty {
  readonly url: string
  begin(): Promise<void>
  end(): Promise<void>
  requests(): number
  /** Undefined where it does not count more than requests. */
  stats(): FaultStats | undefined
}

export interface Scene {
  readonly images: Images
  readonly mirror: MirrorServer
  readonly clock: QuickClock
  readonly upstream: Faulty
  /** The second URL of the upstream, where there is one. */
  readonly second: FaultUpstream | undefined
  /** What was held is past its time from now on; circuits that are open let somebody through. */
  readonly age: () => void
}

/** The fault has begun when this resolves. Everything ends with the test. */
export async function startScene(
  t: Test,
  { url, images }: Registry,
  { wrong, before = {}, keys = '', isToldByOthers = false }: Fault,
  hasSecond = false,
): Promise<Scene> {
  const upstream = wrong === 'reset' ? await resetting(t, images) : await faulty(t, url, before, wrong)
  const second = hasSecond ? await startFaultUpstream({ to: url, faults: before }) : undefined
  t.teardown(() => second?.close())
  const urls = [upstream.url, ...(second === undefined ? [] : [second.url])].map(one => JSON.stringify(one))
  const clock = new QuickClock()
  const proxy = `
  upstreams:
    - {name: up, urls: [${urls.join(', ')}], default: true, ${keys}}
  cache: {tagttl: 10m, patience: 1m}`
  const mirror = await startMirrorServer(t, proxy, { clock })
  const { tag, layer } = images.held
  for (const path of [`manifests/${tag}`, `blobs/${layer}`]) {
    const { status } = await mirror.ask(`/v2/${repository}/${path}`)
    if (status !== 200) throw new Error(`the mirror was to hold ${path}, and answered ${status}`)
  }
  await upstream.begin()
  if (isToldByOthers) await mirror.ask(`/v2/${repository}/manifests/${images.missing.digest}`)
  second?.control.reset()
  return { images, mirror, clock, upstream, second, age: () => clock.skip(11 * 60_000) }
}

async function faulty(t: Test, to: string, before: FaultsInput, wrong: FaultsInput): Promise<Faulty> {
  const { url, control, close } = await startFaultUpstream({ to, faults: before })
  t.teardown(close)
  return {
    url,
    async begin() {
      await control.set({ ...before, ...wrong })
      control.reset()
    },
    end: () => control.set(before),
    requests: () => control.stats().requests,
    stats: () => control.stats(),
  }
}

async function resetting(t: Test, images: Images): Promise<Faulty> {
  const fake = await startFakeUpstream(t)
  for (const { tag, manifest, content } of Object.values(images)) {
    fake.addBlob(repository, content)
    fake.addManifest(repository, tag, Buffer.from(manifest))
  }
  return {
    url: fake.url.href,
    async begin() {
      fake.requests.length = 0
      fake.failNext({ status: 'reset', times: Infinity })
    },
    async end() {
      fake.forgetFailures()
    },
    requests: () => fake.requests.length,
    stats: () => undefined,
  }
}
