// One repository of a registry over HTTP, as the specification has a client see it: URLs, requests, and the few pushes
// that most checks begin with. An answer is read to its end, so that no check has to.
import { createHash, randomBytes } from 'node:crypto'
import { mediaTypes } from '../../lib/oci/media-types.ts'

export type Algorithm = 'sha256' | 'sha512'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Buffer
  /** The header Location, made absolute; throws where there is none. */
  readonly location: string
}

export interface Request {
  readonly headers?: Readonly<Record<string, string>>
  /** A stream goes out without a Content-Length. */
  readonly body?: Buffer | string | ReadableStream
}

export async function send(method: string, url: string, { headers, body }: Request = {}): Promise<Answer> {
  const res = await fetch(url, {
    method,
    redirect: 'manual',
    ...(headers !== undefined && { headers }),
    ...(body !== undefined && { body, duplex: 'half' }),
  })
  const bytes = Buffer.from(await res.arrayBuffer())
  return {
    status: res.status,
    headers: res.headers,
    bytes,
    get location() {
      const location = res.headers.get('location')
      if (location === null) throw new Error(`${method} ${url} was answered ${res.status} without Location`)
      return new URL(location, url).href
    },
  }
}

export function digestOf(content: Buffer | string, algorithm: Algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(content).digest('hex')}`
}

/** Adds parameters to a URL that may have some, as the specification wants a Location treated. */
export function withQuery(url: string, query: Readonly<Record<string, string>>): string {
  const full = new URL(url)
  for (const [name, value] of Object.entries(query)) full.searchParams.append(name, value)
  return full.href
}

export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export interface Pushed {
  readonly bytes: Buffer
  readonly digest: string
  readonly descriptor: Descriptor
  readonly answer: Answer
}

/** What a manifest has beyond a config and layers of its own. */
export interface ManifestParts {
  readonly mediaType?: string
  readonly subject?: Descriptor
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
  readonly configType?: string
  readonly layers?: readonly object[]
  readonly manifests?: readonly object[]
  /** Default: the manifest's digest. */
  readonly tag?: string
  readonly algorithm?: Algorithm
}

export class Repository {
  readonly url: string
  readonly name: string

  constructor(url: string, name: string) {
    this.url = url
    this.name = name
  }

  get root(): string {
    return `${this.url}/v2/${this.name}`
  }

  get uploads(): string {
    return `${this.root}/blobs/uploads/`
  }

  get tags(): string {
    return `${this.root}/tags/list`
  }

  blob(digest: string): string {
    return `${this.root}/blobs/${digest}`
  }

  manifest(reference: string): string {
    return `${this.root}/manifests/${reference}`
  }

  referrers(digest: string): string {
    return `${this.root}/referrers/${digest}`
  }

  /** Begins an upload and returns where it goes on. */
  async startUpload(): Promise<string> {
    const { location } = await send('POST', this.uploads)
    return location
  }

  async pushBlob(content: Buffer | string, algorithm?: Algorithm): Promise<string> {
    const digest = digestOf(content, algorithm)
    const url = withQuery(await this.startUpload(), { digest })
    const { status, bytes } = await send('PUT', url, { body: content, headers: octetStream })
    if (status !== 201) throw new Error(`push of a blob was answered ${status}: ${bytes.toString()}`)
    return digest
  }

  /** Pushes these bytes as they are. */
  putManifest(reference: string, content: Buffer | string, mediaType?: string): Promise<Answer> {
    const type = mediaType ?? mediaTypes.ociManifest
    return send('PUT', this.manifest(reference), { body: content, headers: { 'Content-Type': type } })
  }

  /** Pushes an image with a config of its own and no layer, unless `parts` has some. */
  async pushImage(parts: ManifestParts = {}): Promise<Pushed> {
    const config = `{"unique":"${randomBytes(8).toString('hex')}"}`
    const { configType = imageConfig, algorithm, layers = [] } = parts
    const descriptor = {
      mediaType: configType,
      digest: await this.pushBlob(config, algorithm),
      size: config.length,
    }
    return this.#push({ config: descriptor, layers }, mediaTypes.ociManifest, parts)
  }

  pushIndex(parts: ManifestParts = {}): Promise<Pushed> {
    return this.#push({ manifests: parts.manifests ?? [] }, mediaTypes.ociIndex, parts)
  }

  async #push(content: object, defaultType: string, parts: ManifestParts): Promise<Pushed> {
    const { mediaType = defaultType, artifactType, subject, annotations, algorithm, tag } = parts
    const unique = { unique: randomBytes(8).toString('hex'), ...annotations }
    const fields = { ...content, artifactType, subject, annotations: annotations ?? unique }
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...fields }))
    const digest = digestOf(bytes, algorithm)
    const answer = await this.putManifest(tag ?? digest, bytes, mediaType)
    if (answer.status !== 201)
      throw new Error(`push of a manifest was answered ${answer.status}: ${answer.bytes.toString()}`)
    return { bytes, digest, descriptor: { mediaType, digest, size: bytes.length }, answer }
  }

  async listTags(query: Readonly<Record<string, string>> = {}): Promise<string[]> {
    const { bytes } = await send('GET', withQuery(this.tags, query))
    return (JSON.parse(bytes.toString()) as { readonly tags: string[] }).tags
  }

  /** The descriptors of one page of referrers. */
  async listReferrers(digest: string, query: Readonly<Record<string, string>> = {}): Promise<Descriptor[]> {
    const { bytes } = await send('GET', withQuery(this.referrers(digest), query))
    return (JSON.parse(bytes.toString()) as { readonly manifests: Descriptor[] }).manifests
  }
}

export const octetStream = { 'Content-Type': mediaTypes.octetStream }
export const imageConfig = 'application/vnd.oci.image.config.v1+json'
export const absentDigest = digestOf('pushed by nobody')

/** The URL of the next page; undefined without a Link to one. Throws where the header is not of RFC 8288's form. */
export function nextPage(url: string, { headers }: Answer): string | undefined {
  const link = headers.get('link')
  if (link === null) return undefined
  const [, target] = /^<([^<>]+)>\s*;\s*rel="?next"?$/.exec(link) ?? []
  if (target === undefined) throw new Error(`not a link to a next page: ${link}`)
  return new URL(target, url).href
}
