// A client of a registry, over real HTTP: does the steps of the model and looks at all that can be seen. An answer that
// the protocol does not allow in its place is an error here, whatever the model would say.
import type { Readable } from 'node:stream'
import { Pool } from 'undici'
import { expectHeader, expectStatus, locationOf, outcomeOf, parse, type Answer } from './answers.ts'
import { sortedReferrers, type Outcome, type Step, type View } from './repository-model.ts'
import {
  at,
  blobs,
  manifests,
  signatureType,
  subjects,
  tags,
  type Content,
  type ReferrerDescriptor,
} from './world.ts'

type Headers = Readonly<Record<string, string>>

const anyType = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json'

export class RegistryClient {
  readonly #pool: Pool

  constructor(url: string) {
    this.#pool = new Pool(url, { connections: 16 })
  }

  async perform(repository: string, step: Step): Promise<Outcome> {
    const base = `/v2/${repository}`
    switch (step.do) {
      case 'push blob':
        return this.#pushBlob(base, at(blobs, step.blob), step.way)
      case 'mount blob':
        return this.#mount(base, at(blobs, step.blob).digest, step.from)
      case 'delete blob':
        return outcomeOf(await this.request('DELETE', `${base}/blobs/${at(blobs, step.blob).digest}`), 202)
      case 'push manifest': {
        const manifest = at(manifests, step.manifest)
        const reference = step.tag === undefined ? manifest.digest : at(tags, step.tag)
        const headers = { 'Content-Type': manifest.mediaType }
        const answer = await this.request('PUT', `${base}/manifests/${reference}`, manifest.bytes, headers)
        const outcome = outcomeOf(answer, 201)
        if (outcome.answer !== 'done') return outcome
        expectHeader(answer, 'docker-content-digest', manifest.digest)
        expectHeader(answer, 'oci-subject', manifest.subject)
        return outcome
      }
      case 'delete manifest':
        return this.#deleteManifest(base, at(manifests, step.manifest).digest)
      case 'delete tag':
        return this.#deleteManifest(base, at(tags, step.tag))
      default:
        return step satisfies never
    }
  }

  /** Everything there is to see of a repository; contradictions between two ways to see it are errors. */
  async view(repository: string): Promise<View> {
    const [blobDigests, manifestDigests, tagged, referrers] = await Promise.all([
      Promise.all(blobs.map(blob => this.holdsBlob(repository, blob))),
      Promise.all(manifests.map(({ digest }) => this.manifest(repository, digest))),
      this.#tagged(repository),
      Promise.all(subjects.map(async one => [one, await this.#allReferrers(repository, one)] as const)),
    ])
    return {
      blobs: blobs
        .filter((_, i) => blobDigests[i])
        .map(({ digest }) => digest)
        .toSorted(),
      manifests: manifestDigests.filter(digest => digest !== undefined).toSorted(),
      tags: tagged,
      referrers: sortedReferrers(Object.fromEntries(referrers.filter(([, list]) => list.length > 0))),
    }
  }

  /** Asks with HEAD and with GET, which must agree when nothing else is going on. */
  async holdsBlob(repository: string, { digest, bytes }: Content): Promise<boolean> {
    const path = `/v2/${repository}/blobs/${digest}`
    const head = await this.request('HEAD', path)
    const get = await this.request('GET', path)
    if (head.status !== get.status) throw new Error(`${path}: HEAD is ${head.status}, GET is ${get.status}`)
    if (get.status === 404) return false
    expectStatus(get, 200)
    expectHeader(head, 'content-length', String(bytes.length))
    if (!get.bytes.equals(bytes)) throw new Error(`${path}: other bytes than were pushed`)
    return true
  }

  /** The digest of what is there under a tag or digest, whose bytes must be those that were pushed. */
  async manifest(repository: string, reference: string): Promise<string | undefined> {
    const path = `/v2/${repository}/manifests/${reference}`
    const answer = await this.request('GET', path, undefined, { Accept: anyType })
    if (answer.status === 404) return undefined
    expectStatus(answer, 200)
    const digest = String(answer.headers['docker-content-digest'])
    const pushed = manifests.find(one => one.digest === digest)
    if (pushed?.bytes.equals(answer.bytes) !== true)
      throw new Error(`${path}: other bytes than were pushed as ${digest}`)
    expectHeader(answer, 'content-type', pushed.mediaType)
    return digest
  }

  /** By pages of two. A repository that never had a tag has no list: 404, which says the same. */
  async tagNames(repository: string): Promise<readonly string[]> {
    const names: string[] = []
    let path: string | undefined = `/v2/${repository}/tags/list?n=2`
    while (path !== undefined) {
      const answer: Answer = await this.request('GET', path)
      if (answer.status === 404 && names.length === 0) return []
      expectStatus(answer, 200)
      names.push(...(parse(answer) as { readonly tags: readonly string[] }).tags)
      path = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers['link'] ?? ''))?.[1]
    }
    return names
  }

  async referrers(
    repository: string,
    subject: string,
    artifactType?: string,
  ): Promise<readonly ReferrerDescriptor[]> {
    const query = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`
    const answer = await this.request('GET', `/v2/${repository}/referrers/${subject}${query}`)
    expectStatus(answer, 200)
    expectHeader(answer, 'content-type', 'application/vnd.oci.image.index.v1+json')
    expectHeader(answer, 'oci-filters-applied', artifactType && 'artifactType')
    return (parse(answer) as { readonly manifests: readonly ReferrerDescriptor[] }).manifests
  }

  /** A stream as body goes out chunked. */
  async request(
    method: string,
    path: string,
    body?: Buffer | Readable,
    headers: Headers = {},
  ): Promise<Answer> {
    const {
      statusCode,
      headers: received,
      body: sent,
    } = await this.#pool.request({
      method: method,
      path,
      headers,
      body: body ?? null,
    })
    return { status: statusCode, headers: received, bytes: Buffer.from(await sent.arrayBuffer()) }
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  async #tagged(repository: string): Promise<Record<string, string>> {
    const listed = await this.tagNames(repository)
    const resolved: Record<string, string> = {}
    for (const tag of tags) {
      const digest = await this.manifest(repository, tag)
      if (listed.includes(tag) !== (digest !== undefined))
        throw new Error(`${repository}:${tag} is ${digest ?? 'absent'}, listed are ${listed.join(', ')}`)
      if (digest !== undefined) resolved[tag] = digest
    }
    return resolved
  }

  /** With and without a filter, which must agree. */
  async #allReferrers(repository: string, subject: string): Promise<readonly ReferrerDescriptor[]> {
    const all = await this.referrers(repository, subject)
    const found = await this.referrers(repository, subject, signatureType)
    const expected = all.filter(one => one.artifactType === signatureType)
    if (JSON.stringify(found) !== JSON.stringify(expected))
      throw new Error(`referrers of ${subject}: a filter gives ${JSON.stringify(found)}`)
    return all
  }

  async #pushBlob(base: string, { digest, bytes }: Content, way: string): Promise<Outcome> {
    const start = `${base}/blobs/uploads/`
    const octets = { 'Content-Type': 'application/octet-stream' }
    if (way === 'post')
      return outcomeOf(await this.request('POST', `${start}?digest=${digest}`, bytes, octets), 201)
    let location = locationOf(await this.request('POST', start), 202)
    let rest = bytes
    if (way === 'chunks') {
      const half = Math.ceil(bytes.length / 2)
      const range = { ...octets, 'Content-Range': `0-${half - 1}` }
      location = locationOf(await this.request('PATCH', location, bytes.subarray(0, half), range), 202)
      rest = bytes.subarray(half)
    }
    return outcomeOf(await this.request('PUT', `${location}&digest=${digest}`, rest, octets), 201)
  }

  async #mount(base: string, digest: string, from: string): Promise<Outcome> {
    const answer = await this.request('POST', `${base}/blobs/uploads/?mount=${digest}&from=${from}`)
    if (answer.status === 201) return { answer: 'done' }
    expectStatus(await this.request('DELETE', locationOf(answer, 202)), 204)
    return { answer: 'not mounted' }
  }

  async #deleteManifest(base: string, reference: string): Promise<Outcome> {
    return outcomeOf(await this.request('DELETE', `${base}/manifests/${reference}`), 202)
  }
}
