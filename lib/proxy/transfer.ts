// The way of a blob's bytes from an upstream into the store, as often broken and gone on with as it takes.
//
// Each body is written and hashed batch by batch, at the store's pace. If it breaks off, the blob is opened again at
// the offset that is stored, with the same hash going on: as long as each new body brings something, and at most
// `maxStalls` times in a row otherwise, after growing pauses. The new body may come from another URL of the upstream:
// one that speaks of another size is none of this blob's, and is asked for again. In the end the digest decides.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { Digest, Hasher } from '../oci/digest.ts'
import { maxPauseMs } from '../storage/abandoned-fills.ts'
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
  readonly writer: Pick<FileWriter, 'bytesWritten' | 'write' | 'readWritten'>
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
const rehashBytes = 1024 * 1024

/**
 * Resolves when everything is written and hashed, `first` being the blob's body from where the writer stands; that and
 * every other body is disposed of. What was written before is hashed first. Rejects with UpstreamError, with the
 * writer's error, or with `signal.reason`.
 */
export async function transfer(first: UpstreamBody, deps: TransferDeps, signal: AbortSignal): Promise<void> {
  const { writer } = deps
  const lease = new Lease(deps)
  let stalls = 0
  for (let body = first; ;) {
    const before = writer.bytesWritten
    const failure = await receive(body, deps, lease, signal)
    if (failure === undefined) return
    stalls = writer.bytesWritten > before ? 0 : stalls + 1
    body = await reopen(failure, stalls, deps, signal)
  }
}

/** The rest of a body behind its first byte, which is there already. Takes the body over. */
export function withoutFirstByte(body: UpstreamBody): UpstreamBody {
  return {
    size: body.size,
    async *[Symbol.asyncIterator]() {
      let isFirst = true
      for await (const [piece, ...pieces] of body) {
        if (piece === undefined) continue
        const rest = isFirst
          ? [...(piece.length > 1 ? [piece.subarray(1)] : []), ...pieces]
          : [piece, ...pieces]
        isFirst = false
        if (rest.length > 0) yield rest
      }
    },
    dispose: () => body.dispose(),
  }
}

/** Moves one body into the store; returns how it broke off, if it may be gone on with. */
async function receive(
  body: UpstreamBody,
  deps: TransferDeps,
  lease: Lease,
  signal: AbortSignal,
): Promise<UpstreamError | undefined> {
  const { digest, size, writer, hasher, onBatch } = deps
  try {
    if (hasher.bytesHashed < writer.bytesWritten) await hashWritten(deps, signal)
    for await (const batch of body) {
      const start = writer.bytesWritten
      if (size !== undefined && start + sizeOf(batch) > size) throw tooLong(digest, size)
      lease.mustHold()
      const written = writer.write(batch, { signal })
      hasher.update(batch)
      await written
      lease.renew()
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

/** Hashes what an earlier fill has written: Node cannot store a hash. */
async function hashWritten({ digest, writer, hasher }: TransferDeps, signal: AbortSignal): Promise<void> {
  const into = Buffer.allocUnsafeSlow(rehashBytes)
  while (hasher.bytesHashed < writer.bytesWritten) {
    const piece = await writer.readWritten?.(hasher.bytesHashed, into.length, { into, signal })
    if (piece === undefined || piece.length === 0) throw new TypeError(`Cannot hash kept part of "${digest}"`)
    hasher.update(piece)
  }
}

async function reopen(
  failure: UpstreamError,
  stalls: number,
  { digest, size, open, writer, clock, logger, onResume }: TransferDeps,
  signal: AbortSignal,
): Promise<UpstreamBody> {
  let cause = failure
  for (let attempt = stalls; attempt < maxStalls; attempt++) {
    logger.warn({ err: cause, digest, offset: writer.bytesWritten }, 'upstream broke off a blob, resuming')
    const pauseMs = Math.max(attempt === 0 ? 0 : firstPauseMs * 2 ** attempt, cause.retryAfterMs ?? 0)
    if (pauseMs > 0) await clock.sleep(Math.min(pauseMs, longestPauseMs), { signal })
    try {
      const body = await open(writer.bytesWritten, signal)
      if (size === undefined || body.size === undefined || body.size === size) {
        onResume()
        return body
      }
      await body.dispose()
      cause = otherSize(digest, body.size, size)
    } catch (err) {
      // What cannot be the rest of this blob may be so at one URL of the upstream alone.
      if (!(err instanceof UpstreamError && (err.retryable || err.failure === 'invalid'))) throw err
      cause = err
    }
  }
  throw cause
}

/**
 * The right to write to the staged file, which ends when it has not been used for long: by then another process may
 * take it for abandoned. A machine that was asleep finds out here.
 */
class Lease {
  readonly #deps: Pick<TransferDeps, 'clock' | 'digest'>
  #usedAtMs: number

  constructor(deps: Pick<TransferDeps, 'clock' | 'digest'>) {
    this.#deps = deps
    this.#usedAtMs = deps.clock.now()
  }

  renew(): void {
    this.#usedAtMs = this.#deps.clock.now()
  }

  mustHold(): void {
    const { clock, digest } = this.#deps
    const pauseMs = clock.now() - this.#usedAtMs
    if (pauseMs > maxPauseMs) throw new Error(`Cannot go on with blob "${digest}": paused for ${pauseMs} ms`)
  }
}

function tooLong(digest: Digest, sizeBytes: number): UpstreamError {
  const message = `Cannot accept blob "${digest}": longer than the ${sizeBytes} bytes announced`
  return new UpstreamError('invalid', 'upstream', message)
}

function otherSize(digest: Digest, foundBytes: number, sizeBytes: number): UpstreamError {
  const message = `Cannot go on with blob "${digest}": has ${foundBytes} bytes now, ${sizeBytes} before`
  return new UpstreamError('invalid', 'upstream', message)
}

function tooShort(digest: Digest, foundBytes: number, sizeBytes: number): UpstreamError {
  const message = `Cannot finish blob "${digest}": ended after ${foundBytes} of ${sizeBytes} bytes`
  return new UpstreamError('unavailable', 'upstream', message)
}
