// What handlers publish once something has been done: the event with what is known of the request that caused it. Where
// nobody wants to hear of anything there is none of it, and handlers pass it by.
import type { Descriptor, ManifestEntry } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { EventSink, EventTarget, RegistryEvent } from '../notifications/event.ts'
import type { Context } from './context.ts'
import type { UrlBuilder } from './url-builder.ts'

export interface RequestEventsDeps {
  readonly sink: EventSink
  /** Of absolute URLs. */
  readonly urls: UrlBuilder
  /** Whether events of manifests list what those refer to. */
  readonly includeReferences: boolean
}

type Blob = Pick<Descriptor, 'digest' | 'size'>

export type RequestEvents = ReturnType<typeof createRequestEvents>

export function createRequestEvents({ sink, urls, includeReferences }: RequestEventsDeps) {
  function publish(ctx: Context, action: RegistryEvent['action'], target: EventTarget): void {
    sink.publish({ action, target, request: requestOf(ctx), actor: actorOf(ctx) })
  }

  function blobTarget(ctx: Context, repository: RepositoryName, { digest, size }: Blob): EventTarget {
    const url = urls.blob(ctx.req, repository, digest)
    return { mediaType: mediaTypes.octetStream, digest, size, repository, url }
  }

  function manifestTarget(
    ctx: Context,
    repository: RepositoryName,
    { mediaType, digest, size }: Descriptor,
    bytes: Buffer | undefined,
  ): EventTarget {
    const url = urls.manifest(ctx.req, repository, digest)
    const references = includeReferences && bytes !== undefined ? referencesOf(bytes) : []
    return { mediaType, digest, size, repository, url, references }
  }

  return {
    blobPushed: (ctx: Context, name: RepositoryName, blob: Blob) =>
      publish(ctx, 'push', blobTarget(ctx, name, blob)),
    blobPulled: (ctx: Context, name: RepositoryName, blob: Blob) =>
      publish(ctx, 'pull', blobTarget(ctx, name, blob)),
    blobMounted: (ctx: Context, name: RepositoryName, blob: Blob, fromRepository: RepositoryName) =>
      publish(ctx, 'mount', { ...blobTarget(ctx, name, blob), fromRepository }),
    blobDeleted: (ctx: Context, repository: RepositoryName, digest: Digest) =>
      publish(ctx, 'delete', { digest, repository }),
    /** One event for each tag, or one without. */
    manifestPushed(
      ctx: Context,
      name: RepositoryName,
      pushed: { readonly descriptor: Descriptor; readonly bytes: Buffer; readonly tags: ReadonlySet<Tag> },
    ): void {
      const target = manifestTarget(ctx, name, pushed.descriptor, pushed.bytes)
      const tags = pushed.tags.size === 0 ? [undefined] : pushed.tags
      for (const tag of tags) publish(ctx, 'push', { ...target, tag })
    },
    /** Without `bytes` nothing is said of what it refers to. */
    manifestPulled(
      ctx: Context,
      name: RepositoryName,
      pulled: {
        readonly descriptor: Descriptor
        readonly bytes?: Buffer | undefined
        readonly tag: Tag | undefined
      },
    ): void {
      publish(ctx, 'pull', { ...manifestTarget(ctx, name, pulled.descriptor, pulled.bytes), tag: pulled.tag })
    },
    /** `tags` are those that went with it. */
    manifestDeleted(ctx: Context, repository: RepositoryName, digest: Digest, tags: readonly Tag[]): void {
      publish(ctx, 'delete', { digest, repository })
      for (const tag of tags) publish(ctx, 'delete', { repository, tag })
    },
    tagDeleted: (ctx: Context, repository: RepositoryName, tag: Tag) =>
      publish(ctx, 'delete', { repository, tag }),
  }
}

function requestOf(ctx: Context): RegistryEvent['request'] {
  const { headers } = ctx.req
  return {
    id: ctx.state.id,
    addr: addressOf(ctx),
    host: headers.host ?? '',
    method: ctx.method,
    useragent: headers['user-agent'] ?? '',
  }
}

/** With its port where the client has connected to us itself. */
function addressOf({ req, state }: Context): string {
  const { clientAddress } = state
  const { remoteAddress, remotePort } = req.socket
  const isDirect = remoteAddress?.replace(/^::ffff:(?=\d+\.)/i, '') === clientAddress
  if (!isDirect || remotePort === undefined) return clientAddress
  return clientAddress.includes(':') ? `[${clientAddress}]:${remotePort}` : `${clientAddress}:${remotePort}`
}

/** Who was let in. As in distribution, where nobody is asked it is whom the client claims to be. */
function actorOf(ctx: Context): string | undefined {
  const { grant } = ctx.state
  if (grant?.principal !== undefined) return grant.principal
  const [, encoded] = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(ctx.req.headers.authorization ?? '') ?? []
  if (encoded === undefined) return undefined
  const credentials = Buffer.from(encoded, 'base64').toString('utf8')
  const end = credentials.indexOf(':')
  return end < 0 ? undefined : credentials.slice(0, end)
}

function referencesOf(bytes: Buffer): readonly ManifestEntry[] {
  try {
    const { blobs, manifests } = parseManifest(bytes)
    return [...blobs, ...manifests]
  } catch {
    return [] // It could be stored, so that it is a manifest; what it says is not for us to judge.
  }
}
