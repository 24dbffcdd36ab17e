// /v2/<name>/manifests/<reference>: distribution-spec end-3, end-7 and end-9. What is stored is served as it is,
// whatever Accept says: converting would change the digest, and refusing helps nobody.
import type { IncomingMessage } from 'node:http'
import type { CallOptions, Descriptor } from '../../oci/descriptor.ts'
import { ManifestUnknownError, RegistryError } from '../../oci/errors.ts'
import { maxManifestBytes } from '../../oci/manifest.ts'
import { isTag, parseReference, parseTag, type Reference, type Tag } from '../../oci/reference.ts'
import type { Provenance, Registry } from '../../registry/registry.ts'
import { batches, sizeOf } from '../../streams/batches.ts'
import {
  deleteManifestDescription,
  getManifestDescription,
  putManifestDescription,
} from '../api/manifests.ts'
import { entityTag, isNotModified } from '../conditional.ts'
import { answerEmpty, type Context } from '../context.ts'
import { access, type Params, type RepositoryEndpoint } from '../endpoint.ts'
import type { RequestEvents } from '../events.ts'
import { HttpError } from '../http-error.ts'
import { setProvenance } from '../provenance.ts'
import type { UrlBuilder } from '../url-builder.ts'

export interface ManifestDeps {
  readonly registry: Registry
  readonly urls: UrlBuilder
  readonly events?: RequestEvents | undefined
}

export function manifestEndpoints({ registry, urls, events }: ManifestDeps): readonly RepositoryEndpoint[] {
  async function get(ctx: Context, params: Params): Promise<void> {
    const reference = parseExisting(params)
    const tag = reference.kind === 'tag' ? reference.tag : undefined
    const { manifests } = registry.repository(params.name)
    const { signal } = ctx.state
    if (ctx.method === 'HEAD') {
      const found = await manifests.stat(reference, { signal })
      const isSent = setManifestHeaders(ctx, found, found)
      if (isSent) events?.manifestPulled(ctx, params.name, { descriptor: found, tag })
      return
    }
    const found = await manifests.get(reference, { signal })
    if (!setManifestHeaders(ctx, found.descriptor, found)) return
    ctx.body = found.bytes
    events?.manifestPulled(ctx, params.name, { ...found, tag })
  }

  async function put(ctx: Context, { name, argument }: Params): Promise<void> {
    const reference = parseReference(argument)
    const tags = wantedTags(ctx)
    const { signal } = ctx.state
    const bytes = await readManifest(ctx.req, { signal })
    const { manifests } = registry.repository(name)
    const options = { signal, tags }
    const stored = await manifests.put(bytes, ctx.get('Content-Type'), reference, options)
    const { digest, subject } = stored
    const own = reference.kind === 'tag' ? [reference.tag] : []
    events?.manifestPushed(ctx, name, { descriptor: stored, bytes, tags: new Set([...own, ...tags]) })
    answerEmpty(ctx, 201)
    ctx.set({ Location: urls.manifest(ctx.req, name, digest), 'Docker-Content-Digest': digest })
    // distribution-spec end-7: tells the client that it need not keep a list of referrers itself.
    if (subject !== undefined) ctx.set('OCI-Subject', subject)
    if (tags.length > 0) ctx.set('OCI-Tag', [...tags])
  }

  async function remove(ctx: Context, params: Params): Promise<void> {
    const reference = parseExisting(params)
    const { manifests, tags } = registry.repository(params.name)
    const { signal } = ctx.state
    if (manifests.remove === undefined || tags.remove === undefined) {
      throw new RegistryError('UNSUPPORTED', 'Cannot delete manifests of this registry')
    }
    if (reference.kind === 'tag') {
      await tags.remove(reference.tag, { signal })
      events?.tagDeleted(ctx, params.name, reference.tag)
    } else {
      const removed = await manifests.remove(reference.digest, { signal })
      events?.manifestDeleted(ctx, params.name, reference.digest, removed)
    }
    answerEmpty(ctx, 202)
  }

  const path = '/v2/*name/manifests/:reference'
  return [
    {
      name: 'manifest',
      method: 'GET',
      path,
      describe: getManifestDescription,
      access: access.pull,
      handle: get,
    },
    {
      name: 'manifest',
      method: 'PUT',
      path,
      describe: putManifestDescription,
      access: access.push,
      handle: put,
    },
    {
      name: 'manifest',
      method: 'DELETE',
      path,
      describe: deleteManifestDescription,
      access: access.remove,
      handle: remove,
    },
  ]
}

/** Sets the headers of GET and HEAD and the status; false if the client has the manifest already (304). */
function setManifestHeaders(
  ctx: Context,
  { digest, mediaType, size }: Descriptor,
  provenance: Provenance,
): boolean {
  const known = isNotModified(ctx, digest)
  if (known) answerEmpty(ctx, 304)
  else {
    ctx.status = 200
    ctx.set({ 'Content-Type': mediaType, 'Content-Length': String(size) })
  }
  ctx.set({ 'Docker-Content-Digest': digest, ETag: entityTag(digest) })
  setProvenance(ctx, provenance)
  return !known
}

/** What cannot be a tag names nothing that exists: 404, as conformance tests ask for. */
function parseExisting({ name, argument }: Params): Reference {
  if (!argument.includes(':') && !isTag(argument)) throw new ManifestUnknownError(name, argument)
  return parseReference(argument)
}

/** What `tag` parameters name, each once. Source: distribution-spec end-7b. */
function wantedTags({ query }: Context): readonly Tag[] {
  const { tag: values = [] } = query
  const tags = new Set((typeof values === 'string' ? [values] : values).map(parseTag))
  if (tags.size > maxTags) {
    throw new HttpError('TAG_INVALID', `Cannot set ${tags.size} tags at once`, {
      status: 414,
      detail: `more than ${maxTags} tags at once`,
    })
  }
  return [...tags]
}

/** In one request; the specification wants ten at least. */
const maxTags = 64

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
