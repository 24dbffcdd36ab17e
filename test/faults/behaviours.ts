// What a client of the mirror may ask for while its upstream is at fault, and the words for what it gets: they are what
// stands in the cells of docs/mirror.md. Each behaviour also checks what must hold whatever the fault: nothing that
// looks complete is anything but the content, and every refusal has the protocol's form.
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import { ask, type Answer } from '../support/server-with.ts'
import { until } from '../support/until.ts'
import {
  layerBytes,
  repository,
  startScene,
  type Fault,
  type Image,
  type Registry,
  type Scene,
} from './scene.ts'

/** Returns the words for what happened. */
type Behaviour = (t: Test, registry: Registry, fault: Fault) => Promise<string>

/** By the headings of their columns, in order. */
export const behaviours: Readonly<Record<string, Behaviour>> = {
  'tag here, in its time': async (t, registry, fault) => {
    const scene = await startScene(t, registry, fault)
    const asked = scene.upstream.requests()

    const word = await getTag(t, scene, scene.images.held)

    t.equal(scene.upstream.requests(), asked, 'nobody is asked')
    return word
  },

  'tag here, past its time': async (t, registry, fault) => {
    const scene = await startScene(t, registry, fault)
    scene.age()

    const word = await getTag(t, scene, scene.images.held)

    if (fault.isSlow) t.ok((scene.upstream.stats()?.open ?? 0) > 0, 'the upstream still owes its answer')
    return word
  },

  'blob here': async (t, registry, fault) => {
    const scene = await startScene(t, registry, fault)
    const asked = scene.upstream.requests()

    const word = await getBlob(t, scene, scene.images.held)

    t.equal(scene.upstream.requests(), asked, 'nobody is asked')
    return word
  },

  'tag not here': async (t, registry, fault) => {
    const scene = await startScene(t, registry, fault)
    return withRetries(scene, await getTag(t, scene, scene.images.missing))
  },

  'blob not here': async (t, registry, fault) => {
    const scene = await startScene(t, registry, fault)
    if (fault.isAskedWithHead) {
      const path = `/v2/${repository}/blobs/${scene.images.missing.layer}`
      const { status, headers } = await scene.mirror.ask(path, {}, 'HEAD')
      t.match({ status, headers }, { status: 200, headers: { 'content-length': String(layerBytes) } })
    }

    const word = await getBlob(t, scene, scene.images.missing)

    t.equal(scene.upstream.stats()?.authorizationAtCdn ?? 0, 0, 'no Authorization goes to another host')
    return withRetries(scene, word)
  },

  'both with a second URL': async (t, registry, fault) => {
    const scene = await startScene(t, registry, fault, true)
    const { missing } = scene.images

    const tag = await getTag(t, scene, missing)
    const blob = await getBlob(t, scene, missing)
    // A reset connection is what a client tries again.
    const again = blob === 'reset' ? await getBlob(t, scene, missing) : blob

    const words = [...new Set([tag, again].map(briefly))].join(', ')
    const isSecondAsked = (scene.second?.control.stats().requests ?? 0) > 0
    return `${again === blob ? '' : `${blob}, then `}${words}${isSecondAsked ? ' from the second' : ''}`
  },

  afterwards: async (t, registry, fault) => {
    const scene = await startScene(t, registry, fault)
    const { held, missing } = scene.images
    scene.age()
    await Promise.allSettled([getTag(t, scene, held), getTag(t, scene, missing), getBlob(t, scene, missing)])
    await scene.upstream.end()
    scene.age()

    const words = [await getTag(t, scene, missing), await getBlob(t, scene, missing)].map(briefly)

    // The first answer may come from the cache, while the upstream is asked behind it.
    await until(async () => !(await getTag(t, scene, held)).includes('stale'))
    return [...new Set(words)].join(', ')
  },
}

/** Some columns are not about how it came to be fetched. */
function briefly(word: string): string {
  return word.replace(/ (?:resumed|revalidated)$/, '')
}

async function withRetries({ mirror }: Scene, word: string): Promise<string> {
  const retries = await count(mirror, 'entrepot_upstream_retries_total')
  return word === '200' && retries > 0 ? '200 after retries' : word
}

async function getTag(t: Test, { mirror }: Scene, { tag, manifest, digest }: Image): Promise<string> {
  const answer = await ask(`${mirror.url}/v2/${repository}/manifests/${tag}`)
  if (answer.status !== 200) return refusal(t, answer)
  const { headers, body } = answer
  t.equal(body.toString(), manifest)
  t.equal(headers['docker-content-digest'], digest)
  t.equal(headers.warning !== undefined, headers['x-cache'] === 'STALE', 'what is stale says so')
  return `200${cacheWords[String(headers['x-cache'])] ?? ''}`
}

const cacheWords: Readonly<Record<string, string>> = { STALE: ' stale', REVALIDATED: ' revalidated' }

async function getBlob(t: Test, { mirror }: Scene, { layer, content }: Image): Promise<string> {
  const request = http.request(`${mirror.url}/v2/${repository}/blobs/${layer}`, { agent: false }).end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const { statusCode: status = 0, headers } = response
  if (status !== 200) return refusal(t, { status, headers, body: await buffer(response) })
  const body = await buffer(response).catch(() => undefined)
  if (body === undefined) return 'reset'
  t.ok(body.equals(content), 'what is complete is the content')
  return (await count(mirror, 'entrepot_fill_resumes_total')) > 0 ? '200 resumed' : '200'
}

/** An error in the protocol's form: the status, and what it says of trying again. */
function refusal(t: Test, { status, headers, body }: Answer): string {
  t.match(JSON.parse(body.toString()), { errors: [{ code: /^[A-Z_]+$/, message: String }] })
  const retryAfter = headers['retry-after']
  return retryAfter === undefined ? String(status) : `${status}, Retry-After`
}

async function count({ metric }: Scene['mirror'], name: string): Promise<number> {
  return Number((await metric(name))?.split(' ').at(-1) ?? 0)
}
