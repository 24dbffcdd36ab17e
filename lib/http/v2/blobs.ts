// /v2/<name>/blobs/<digest>: distribution-spec end-2 and end-10.
import { parseDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { BlobBody, Registry } from '../../registry/registry.ts'
import { deleteBlobDescription, getBlobDescription } from '../api/blobs.ts'
import { answerEmpty, type Context } from '../context.ts'
import { access, type Params, type RepositoryEndpoint } from '../endpoint.ts'
import type { RequestEvents } from '../events.ts'
import { setProvenance } from '../provenance.ts'
import { createBlobSender, sendBlobHead } from '../send-blob.ts'

export interface BlobDeps {
  readonly registry: Registry
  readonly events?: RequestEvents | undefined
}

export function blobEndpoints({ registry, events }: BlobDeps): readonly RepositoryEndpoint[] {
  const send = createBlobSender()

  async function get(ctx: Context, { name, argument }: Params): Promise<void> {
    const digest = parseDigest(argument)
    const { blobs, isMirror } = registry.repository(name)
    const { signal } = ctx.state
    // HEAD asks without opening: on a mirror that must not start a transfer.
    if (ctx.method === 'HEAD') {
      const { size } = await blobs.stat(digest, { signal })
      events?.blobPulled(ctx, name, { digest, size })
      return sendBlobHead(ctx, digest, size)
    }
    const body = await blobs.open(digest, { signal, client: ctx.state.clientAddress })
    if (isMirror) setProvenance(ctx, { cache: isFetched(body) ? 'MISS' : 'HIT' })
    if (events !== undefined) {
      const { size = 0 } = body.kind === 'bytes' ? body : await blobs.stat(digest, { signal })
      events.blobPulled(ctx, name, { digest, size })
    }
    await send(ctx, body)
  }

  async function remove(ctx: Context, { name, argument }: Params): Promise<void> {
    const digest = parseDigest(argument)
    const { blobs } = registry.repository(name)
    if (blobs.remove === undefined)
      throw new RegistryError('UNSUPPORTED', 'Cannot delete blobs of this registry')
    await blobs.remove(digest, { signal: ctx.state.signal })
    events?.blobDeleted(ctx, name, digest)
    answerEmpty(ctx, 202)
  }

  const path = '/v2/*name/blobs/:digest'
  return [
    { name: 'blob', method: 'GET', path, describe: getBlobDescription, access: access.pull, handle: get },
    {
      name: 'blob',
      method: 'DELETE',
      path,
      describe: deleteBlobDescription,
      access: access.remove,
      handle: remove,
    },
  ]
}

function isFetched(body: BlobBody): boolean {
  return body.kind === 'bytes' && body.origin === 'fill'
}
