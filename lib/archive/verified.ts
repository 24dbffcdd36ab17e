// Content out of a store, checked on its way into an archive.
import { algorithmOf, Hasher, type Digest } from '../oci/digest.ts'
import { DigestMismatchError } from '../oci/errors.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { digestReference } from '../oci/reference.ts'
import type { Repository } from '../registry/registry.ts'
import { ArchiveError } from './files.ts'
import type { Part } from './gather.ts'

/** The bytes of a part of an image. Ends with DigestMismatchError, after the last, if they are not what they should be. */
export async function* contentOf(
  repository: Repository,
  digest: Digest,
  { kind }: Pick<Part, 'kind'>,
  options: CallOptions = {},
): AsyncGenerator<Uint8Array> {
  const hasher = new Hasher(algorithmOf(digest))
  for await (const chunk of await open(repository, digest, kind, options)) {
    hasher.update(chunk)
    yield chunk
  }
  const found = hasher.digest()
  if (found !== digest) throw new DigestMismatchError(digest, found)
}

async function open(
  repository: Repository,
  digest: Digest,
  kind: Part['kind'],
  options: CallOptions,
): Promise<AsyncIterable<Uint8Array>> {
  if (kind === 'manifest') {
    const { bytes } = await repository.manifests.get(digestReference(digest), options)
    return (async function* () {
      yield await Promise.resolve(bytes)
    })()
  }
  const body = await repository.blobs.open(digest, options)
  if (body.kind === 'redirect') throw new ArchiveError(`Cannot read blob ${digest}: it lies elsewhere`)
  return (await body.read(undefined, options)) as AsyncIterable<Uint8Array>
}
