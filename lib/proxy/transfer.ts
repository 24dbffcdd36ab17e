// The way of a blob's bytes from an upstream into the store, as often broken and gone on with as it takes.
//
// Each body is written and hashed batch by batch, at the store's pace. If it breaks off, the blob is opened again at
// the offset that is stored, with the same hash going on: as long as each new body brings something, and at most
// `maxStalls` times in a row otherwise, after growing pauses.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Digest, Hasher } from '../oci/digest.ts'
import type { FileWriter } from '../storage/driver/driver.ts'
import { sizeOf } from '../streams/batches.ts'
import { UpstreamError } from '../upstream/errors.ts'
import type { UpstreamBody } from '../upstream/upstream.ts'

/** Opens the blob at an upstream from byte `start` on; resolves when the headers are in. */
export type OpenUpstream = (start: number, signal: AbortSignal) => Promise<UpstreamBody>

export interface TransferDeps {
  readonly digest: Digest
  /** Bytes; undefined where nobody has said. */
  readonly size: number | undefined
  readonly open: OpenUpstream
  readonly writer: Pick<FileWriter, 'bytesWritten' | 'write'>
  readonly hasher: Hasher
  readonly clock: Clock
  readonly logger: Logger
  /** Called when a batch is stored; `start` is where it begins in the blob. */
  readonly onBatch: (start: number, batch: readonly Uint8Array[]) => void
  readonly onResume: () => void
}

const maxStalls = 5
const firstPauseMs = 200
const longestPauseMs = 10_000

/**
 * Resolves when everything is written and hashed, `first` being the blob's body from its beginning; that and every
 * other body is disposed of. Rejects with UpstreamError, with the writer's error, or with `signal.reason`.
 */
export async function transfer(first: UpstreamBody, deps: TransferDeps, signal: AbortSignal): Promise<void> {
  const { writer } = deps
  let stalls = 0
  for (let body = first; ;) {
    const before = writer.bytesWritten
    const failure = await receive(body, deps, signal)
    if (failure === undefined) return
    stalls = writer.bytesWritten > before ? 0 : stalls + 1
    body = await reopen(failure, stalls, deps, signal)
  }
}

/** Moves one body into the store; returns how it broke off, if it may be gone on with. */
async function receive(
  body: UpstreamBody,
  { digest, size, writer, hasher, onBatch }: TransferDeps,
  signal: AbortSignal,
): Promise<UpstreamError | undefined> {
  try {
    for await (const batch of body) {
      const start = writer.bytesWritten
      if (size !== undefined && start + sizeOf(batch) > size) throw tooLong(digest, size)
      const written = writer.write(batch, { signal })
      hasher.update(batch)
      await written
      onBatch(start, batch)
    }
  } catch (err) {
    signal.throwIfAborted()
    if (err instanceof UpstreamError && err.retryable) return err
    throw err
  } finally {
    await body.dispose()
  }
  if (size === undefined || writer.bytesWritten === size) return undefined
  return tooShort(digest, writer.bytesWritten, size)
}

async function reopen(
  failure: UpstreamError,
  stalls: number,
  { digest, open, writer, clock, logger, onResume }: TransferDeps,
  signal: AbortSignal,
): Promise<UpstreamBody> {
  let cause = failure
  for (let attempt = stalls; attempt < maxStalls; attempt++) {
    logger.warn({ err: cause, digest, offset: writer.bytesWritten }, 'upstream broke off a blob, resuming')
    const pauseMs = Math.max(attempt === 0 ? 0 : firstPauseMs * 2 ** attempt, cause.retryAfterMs ?? 0)
    if (pauseMs > 0) await clock.sleep(Math.min(pauseMs, longestPauseMs), { signal })
    try {
      const body = await open(writer.bytesWritten, signal)
      onResume()
      return body
    } catch (err) {
      if (!(err instanceof UpstreamError && err.retryable)) throw err
      cause = err
    }
  }
  throw cause
}

function tooLong(digest: Digest, sizeBytes: number): UpstreamError {
  const message = `Cannot accept blob "${digest}": longer than the ${sizeBytes} bytes announced`
  return new UpstreamError('invalid', 'upstream', message)
}

function tooShort(digest: Digest, foundBytes: number, sizeBytes: number): UpstreamError {
  const message = `Cannot finish blob "${digest}": ended after ${foundBytes} of ${sizeBytes} bytes`
  return new UpstreamError('unavailable', 'upstream', message)
}
