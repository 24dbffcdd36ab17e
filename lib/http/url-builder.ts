// The URLs that Location headers carry. A client uses them verbatim, so a wrong scheme or host behind a proxy is the
// classic "push hangs". Precedence, as in distribution: http.host, then Forwarded (RFC 7239), then X-Forwarded-*, then
// the Host header. What a client sends is only used if it is nothing but a host; else the URL is relative.
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { UploadId } from '../oci/upload-id.ts'
import { parseForwarded } from './forwarded.ts'

export interface UrlBuilder {
  blob(req: IncomingMessage, name: RepositoryName, digest: Digest): string
  manifest(req: IncomingMessage, name: RepositoryName, digest: Digest): string
  upload(req: IncomingMessage, name: RepositoryName, id: UploadId, state: string): string
}

export interface UrlSettings {
  readonly host: URL | undefined
  /** Empty or `/some/where`. */
  readonly prefix: string
  readonly relativeUrls: boolean
  /** Whether a request's Forwarded and X-Forwarded-* are to be believed; default: always. */
  readonly believes?: (req: IncomingMessage) => boolean
}

export function createUrlBuilder(settings: UrlSettings): UrlBuilder {
  const root = (req: IncomingMessage) => `${baseOf(req, settings)}/v2`
  return {
    blob: (req, name, digest) => `${root(req)}/${name}/blobs/${digest}`,
    manifest: (req, name, digest) => `${root(req)}/${name}/manifests/${digest}`,
    upload: (req, name, id, state) =>
      `${root(req)}/${name}/blobs/uploads/${id}?_state=${encodeURIComponent(state)}`,
  }
}

function baseOf(req: IncomingMessage, settings: UrlSettings): string {
  const { host, prefix, relativeUrls, believes = () => true } = settings
  if (relativeUrls) return prefix
  // distribution: http.host is the whole outside address, so that the prefix is not added to it
  if (host !== undefined) return `${host.origin}${host.pathname.replace(/\/*$/, '')}`
  const { proto, host: asked } = believes(req) ? outsideOf(req) : directOf(req)
  return isHost(asked) ? `${proto}://${asked}${prefix}` : prefix
}

interface Outside {
  readonly proto: string
  readonly host: string
}

/** As the request reached us. Streams of HTTP/2 hide the class of their socket, but not what it is. */
function directOf({ headers, socket }: IncomingMessage): Outside {
  const isTls = Boolean((socket as Partial<TLSSocket>).encrypted)
  return { proto: isTls ? 'https' : 'http', host: headers.host ?? '' }
}

function outsideOf(req: IncomingMessage): Outside {
  const { headers } = req
  const direct = directOf(req)
  const { forwarded } = headers
  if (forwarded !== undefined) {
    const said = parseForwarded(forwarded)
    return { proto: isProto(said?.proto) ? said.proto : direct.proto, host: said?.host ?? direct.host }
  }
  const proto = firstOf(headers['x-forwarded-proto'])
  return {
    proto: isProto(proto) ? proto : direct.proto,
    host: firstOf(headers['x-forwarded-host']) ?? direct.host,
  }
}

function firstOf(header: string | string[] | undefined): string | undefined {
  const [first = ''] = (typeof header === 'string' ? header : (header?.[0] ?? '')).split(',', 1)
  return first.trim().toLowerCase() || undefined
}

function isProto(proto: string | undefined): proto is 'http' | 'https' {
  return proto === 'http' || proto === 'https'
}

function isHost(text: string): boolean {
  return /^(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(text)
}
