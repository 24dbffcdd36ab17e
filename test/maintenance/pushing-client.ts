// A client that pushes, mounts, deletes and pulls by chance, and throws as soon as something is not there that it has been
// told is stored. Others do the same in the same repositories, with the same layers and tags of their own.
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { codesOf, manifestOf, sha256 } from '../support/http-client.ts'

const repositories = ['team/a', 'team/b', 'c']
const layers = Array.from({ length: 6 }, (_, at) => Buffer.from(`layer ${at}`))
const indexType = 'application/vnd.oci.image.index.v1+json'

/** mulberry32 */
export function randomOf(start: number) {
  let state = start
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

export type Random = ReturnType<typeof randomOf>

export interface Counts {
  pushes: number
  refused: number
  deletes: number
  checks: number
}

interface Parsed {
  readonly config?: { readonly digest: string }
  readonly layers?: readonly { readonly digest: string }[]
  readonly manifests?: readonly { readonly digest: string }[]
}

export class PushingClient {
  readonly #url: string
  readonly #random: Random
  readonly #id: number
  readonly #counts: Counts
  /** By repository and tag, what only this client sets or deletes. */
  readonly #mine = new Map<string, { readonly name: string; readonly tag: string; readonly body: string }>()

  constructor(url: string, id: number, random: Random, counts: Counts) {
    this.#url = url
    this.#id = id
    this.#random = random
    this.#counts = counts
  }

  /** One thing or another, by chance. */
  async step(): Promise<void> {
    const what = this.#random(10)
    if (what < 6) await this.#push()
    else if (what < 8) await this.#delete()
    else await this.check()
  }

  async #pushLayer(name: string, content: Buffer): Promise<void> {
    const digest = sha256(content)
    const head = await fetch(`${this.#url}/v2/${name}/blobs/${digest}`, { method: 'HEAD' })
    if (head.status === 200) return
    const from = repositories[this.#random(repositories.length)]
    const query = this.#random(2) === 0 ? `mount=${digest}&from=${from}` : ''
    const begun = await fetch(`${this.#url}/v2/${name}/blobs/uploads/?${query}`, { method: 'POST' })
    await begun.arrayBuffer()
    if (begun.status === 201) return
    const location = `${begun.headers.get('location')}&digest=${digest}`
    const put = await fetch(location, { method: 'PUT', body: content })
    await put.arrayBuffer()
    if (put.status !== 201) throw new Error(`a blob was answered ${put.status}`)
  }

  async #put(name: string, reference: string, body: string, type: string): Promise<boolean> {
    const res = await fetch(`${this.#url}/v2/${name}/manifests/${reference}`, {
      ...{ method: 'PUT', body, headers: { 'Content-Type': type } },
    })
    if (res.status === 201) {
      await res.arrayBuffer()
      return true
    }
    // Layers that were seen before the collection began may go without a grace; then the client pushes again.
    const codes = await codesOf(res)
    if (!codes.every(code => code === 'MANIFEST_BLOB_UNKNOWN')) throw new Error(`refused: ${codes.join()}`)
    this.#counts.refused++
    return false
  }

  async #push(): Promise<void> {
    const name = repositories[this.#random(repositories.length)] ?? ''
    const tag = `${this.#id}-${this.#random(3)}`
    const some = layers.filter(() => this.#random(2) === 0)
    const config = Buffer.from(`config ${this.#random(4)}`)
    const image = manifestOf(
      sha256(config),
      config.length,
      ...some.map(layer => [sha256(layer), layer.length] as const),
    )
    const isIndex = this.#random(3) === 0
    const entry = { mediaType: mediaTypes.ociManifest, digest: sha256(image), size: image.length }
    const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: [entry] })
    for (let attempt = 0; attempt < 5; attempt++) {
      for (const content of [config, ...some]) await this.#pushLayer(name, content)
      if (isIndex && !(await this.#put(name, sha256(image), image, mediaTypes.ociManifest))) continue
      const [body, type] = isIndex ? [index, indexType] : [image, mediaTypes.ociManifest]
      if (!(await this.#put(name, tag, body, type))) continue
      this.#counts.pushes++
      this.#mine.set(`${name}:${tag}`, { name, tag, body })
      return
    }
  }

  async #delete(): Promise<void> {
    const all = [...this.#mine.values()]
    const one = all[this.#random(all.length || 1)]
    if (one === undefined) return
    this.#mine.delete(`${one.name}:${one.tag}`)
    const res = await fetch(`${this.#url}/v2/${one.name}/manifests/${one.tag}`, { method: 'DELETE' })
    await res.arrayBuffer()
    this.#counts.deletes++
  }

  /** All that this client has been told is stored, down to the last byte. */
  async check(): Promise<void> {
    this.#counts.checks++
    for (const { name, tag, body } of this.#mine.values()) {
      const text = await this.#get(`${name}/manifests/${tag}`)
      if (text !== body) throw new Error(`${name}:${tag} is another manifest`)
      await this.#follow(name, body)
    }
  }

  async #follow(name: string, body: string): Promise<void> {
    const { config, layers = [], manifests = [] } = JSON.parse(body) as Parsed
    for (const { digest } of manifests)
      await this.#follow(name, await this.#get(`${name}/manifests/${digest}`))
    for (const { digest } of [...(config === undefined ? [] : [config]), ...layers]) {
      const text = await this.#get(`${name}/blobs/${digest}`)
      if (sha256(text) !== digest) throw new Error(`${name}@${digest} is damaged`)
    }
  }

  async #get(path: string): Promise<string> {
    const res = await fetch(`${this.#url}/v2/${path}`, { headers: { Accept: '*/*' } })
    const text = await res.text()
    if (res.status !== 200) throw new Error(`${path} was answered ${res.status}: ${text}`)
    return text
  }
}
