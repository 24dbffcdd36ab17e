// /v2/<name>/manifests/<reference>: distribution-spec end-3, end-7 and end-9. What is stored is served as it is,
// whatever Accept says: converting would change the digest, and refusing helps nobody.
import type { IncomingMessage } from 'node:http'
import type { CallOptions, Descriptor } from '../../oci/descriptor.ts'
import { ManifestUnknownError, RegistryError } from '../../oci/errors.ts'
import { maxManifestBytes } from '../../oci/manifest.ts'
import { isTag, parseReference, type Reference } from '../../oci/reference.ts'
import type { Registry } from '../../registry/registry.ts'
import { batches, sizeOf } from '../../streams/batches.ts'
import { entityTag, isKnownToClient } from '../conditional.ts'
import { answerEmpty, type Context } from '../context.ts'
import { access, type Params, type RepositoryEndpoint } from '../endpoint.ts'
import { HttpError } from '../http-error.ts'
import type { UrlBuilder } from '../url-builder.ts'

export interface ManifestDeps {
  readonly registry: Registry
  readonly urls: UrlBuilder
}

export function manifestEndpoints({ registry, urls }: ManifestDeps): readonly RepositoryEndpoint[] {
  async function get(ctx: Context, params: Params): Promise<void> {
    const reference = parseExisting(params)
    const { manifests } = registry.repository(params.name)
    const { signal } = ctx.state
    if (ctx.method === 'HEAD') {
      const { stale, ...descriptor } = await manifests.stat(reference, { signal })
      setManifestHeaders(ctx, descriptor, stale)
      return
    }
    const { descriptor, bytes, stale } = await manifests.get(reference, { signal })
    if (setManifestHeaders(ctx, descriptor, stale)) ctx.body = bytes
  }

  async function put(ctx: Context, { name, argument }: Params): Promise<void> {
    const reference = parseReference(argument)
    const { signal } = ctx.state
    const bytes = await readManifest(ctx.req, { signal })
    const { manifests } = registry.repository(name)
    const { digest } = await manifests.put(bytes, ctx.get('Content-Type'), reference, { signal })
    answerEmpty(ctx, 201)
    ctx.set({ Location: urls.manifest(ctx.req, name, digest), 'Docker-Content-Digest': digest })
  }

  async function remove(ctx: Context, params: Params): Promise<void> {
    const reference = parseExisting(params)
    const { manifests, tags } = registry.repository(params.name)
    const { signal } = ctx.state
    if (manifests.remove === undefined || tags.remove === undefined) {
      throw new RegistryError('UNSUPPORTED', 'Cannot delete manifests of this registry')
    }
    if (reference.kind === 'tag') await tags.remove(reference.tag, { signal })
    else await manifests.remove(reference.digest, { signal })
    answerEmpty(ctx, 202)
  }

  const path = '/v2/*name/manifests/:reference'
  return [
    { name: 'manifest', method: 'GET', path, access: access.pull, handle: get },
    { name: 'manifest', method: 'PUT', path, access: access.push, handle: put },
    { name: 'manifest', method: 'DELETE', path, access: access.remove, handle: remove },
  ]
}

/** Sets the headers of GET and HEAD and the status; false if the client has the manifest already (304). */
function setManifestHeaders(
  ctx: Context,
  { digest, mediaType, size }: Descriptor,
  stale: string | undefined,
): boolean {
  const known = isKnownToClient(ctx, digest)
  if (known) answerEmpty(ctx, 304)
  else {
    ctx.status = 200
    ctx.set({ 'Content-Type': mediaType, 'Content-Length': String(size) })
  }
  ctx.set({ 'Docker-Content-Digest': digest, ETag: entityTag(digest) })
  // RFC 7234, 5.5.1: 110 is "Response is Stale".
  if (stale !== undefined) ctx.set('Warning', `110 - "stale: ${stale}"`)
  return !known
}

/** What cannot be a tag names nothing that exists: 404, as conformance tests ask for. */
function parseExisting({ name, argument }: Params): Reference {
  if (!argument.includes(':') && !isTag(argument)) throw new ManifestUnknownError(name, argument)
  return parseReference(argument)
}

async function readManifest(req: IncomingMessage, options: CallOptions): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > maxManifestBytes) throw tooLarge()
  const parts: Buffer[] = []
  let length = 0
  for await (const batch of batches(req, options)) {
    length += sizeOf(batch)
    if (length > maxManifestBytes) throw tooLarge()
    parts.push(...batch)
  }
  return Buffer.concat(parts, length)
}

function tooLarge(): HttpError {
  return new HttpError('MANIFEST_INVALID', `Cannot accept manifest: larger than ${maxManifestBytes} bytes`, {
    status: 413,
    detail: `manifest is larger than ${maxManifestBytes} bytes`,
  })
}
