// How the transfer of a blob begins: at its first byte, or behind what an earlier fill has kept of it.
//
// Nothing that was kept is touched, let alone shown, before the upstream has answered for the repository that asks now.
import type { Logger } from '../log.ts'
import type { Digest } from '../oci/digest.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { PartialFills } from '../storage/partial-fills.ts'
import type { BlobWriter } from '../storage/staged-blobs.ts'
import { UpstreamError } from '../upstream/errors.ts'
import type { UpstreamBody } from '../upstream/upstream.ts'
import { withoutFirstByte, type OpenUpstream } from './transfer.ts'

/** What is to be fetched, and from where. */
export interface FillRequest {
  readonly digest: Digest
  /** The repository that it is fetched from. */
  readonly from: RepositoryName
  /** The upstream's name, for operators. */
  readonly upstream: string
  /** Whether what an earlier fill has kept may be shown to those who ask for this one. */
  readonly mayUseKept: boolean
  readonly open: OpenUpstream
  /** Bytes, where a manifest told; used if the upstream does not say. */
  readonly expectedSize?: number | undefined
  /** The last resort for a size: asks the upstream. Its failure only means that nobody knows. */
  readonly askSize?: ((signal: AbortSignal) => Promise<number>) | undefined
  /** Called when what was opened last has turned out not to be the blob. */
  readonly distrust?: (() => void) | undefined
}

/** A transfer that can go on where the writer stands. Both are the caller's to end. */
export interface Beginning {
  readonly body: UpstreamBody
  readonly writer: BlobWriter
  /** Bytes of the whole blob; undefined where nobody has said. */
  readonly size: number | undefined
}

export interface BeginningDeps {
  readonly request: FillRequest
  readonly blobs: BlobStore
  readonly partials: PartialFills | undefined
  readonly logger: Logger
}

/** Asks for the whole blob. UpstreamError. */
export async function beginWhole({ request, blobs }: BeginningDeps, signal: AbortSignal): Promise<Beginning> {
  const body = await request.open(0, signal)
  try {
    const size = await sizeOf(body, request, signal)
    return { body, size, writer: await blobs.create({ digest: request.digest, signal }) }
  } catch (err) {
    await body.dispose()
    throw err
  }
}

/**
 * Takes over what is kept of the blob and asks for the rest; undefined if there is nothing that can be gone on with.
 * Asks from the last byte that is there, since a range that begins behind the end would be refused. UpstreamError, and
 * then what was kept stays for others.
 */
export async function beginWithRest(
  deps: BeginningDeps,
  signal: AbortSignal,
): Promise<Beginning | undefined> {
  const { partials, request } = deps
  const { digest } = request
  if (partials === undefined || !request.mayUseKept) return undefined
  const keptBytes = await orNothing(deps, signal, () => partials.find(digest, { signal }))
  if (keptBytes === undefined) return undefined
  let body: UpstreamBody
  try {
    body = await request.open(keptBytes - 1, signal)
  } catch (err) {
    // It has no such byte: what was kept is not of this blob.
    if (!(err instanceof UpstreamError && err.failure === 'invalid')) throw err
    await orNothing(deps, signal, () => partials.remove(digest))
    return undefined
  }
  let beginning: Beginning | undefined
  try {
    const size = await sizeOf(body, request, signal)
    const writer = await orNothing(deps, signal, () => partials.take(digest, { signal }))
    // Another process may have taken it, or have put something else in its place.
    if (writer?.bytesWritten === keptBytes && keptBytes <= (size ?? Infinity))
      beginning = { body: withoutFirstByte(body), writer, size }
    else if (writer !== undefined) await orNothing(deps, signal, () => drop(writer))
  } finally {
    if (beginning === undefined) await body.dispose()
  }
  return beginning
}

async function drop(writer: BlobWriter): Promise<void> {
  try {
    await writer.cancel()
  } finally {
    await writer.release()
  }
}

/** Trouble with what was kept is no reason to fail: it only costs a download. */
async function orNothing<T>(
  { logger, request }: BeginningDeps,
  signal: AbortSignal,
  call: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await call()
  } catch (err) {
    signal.throwIfAborted()
    logger.warn({ err, digest: request.digest }, 'cannot go on with what was kept of a blob')
    return undefined
  }
}

async function sizeOf(
  body: UpstreamBody,
  { askSize, expectedSize }: FillRequest,
  signal: AbortSignal,
): Promise<number | undefined> {
  return body.size ?? expectedSize ?? (await askSize?.(signal).catch(() => undefined))
}
