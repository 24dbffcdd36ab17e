// Reads a stream in large steps. Node hands out network data in pieces of at most 64 KiB; while the consumer is busy
// with one batch, the pieces that arrive are kept, and the next batch takes all of them at once. A slow sender's bytes
// come at once, a fast one's many at a time, and none are copied. What is kept is bounded, which holds the sender back.
import type { Readable } from 'node:stream'
import type { CallOptions } from '../oci/descriptor.ts'

/** Pieces in their order, at least one, none empty. */
export type Batch = readonly Buffer[]

/** Bytes. */
export function sizeOf(batch: readonly Uint8Array[]): number {
  let size = 0
  for (const piece of batch) size += piece.length
  return size
}

const maxKeptBytes = 256 * 1024
const maxKeptPieces = 256

/**
 * Everything that `source` yields, in batches of what had arrived. Throws the source's error, or an Error with code
 * `ERR_STREAM_PREMATURE_CLOSE` if it closed before its end, or `signal.reason`. Does not destroy the source, and leaves
 * it paused with what was not taken.
 */
export async function* batches(
  source: Readable,
  { signal }: CallOptions = {},
): AsyncGenerator<Batch, void, undefined> {
  let kept: Buffer[] = []
  let keptBytes = 0
  let failure: Error | undefined
  let ended = source.readableEnded
  let rouse: (() => void) | undefined
  const wake = () => rouse?.()
  const onData = (piece: Buffer) => {
    if (piece.length === 0) return
    kept.push(piece)
    keptBytes += piece.length
    if (keptBytes >= maxKeptBytes || kept.length >= maxKeptPieces) source.pause()
    wake()
  }
  const onEnd = () => {
    ended = true
    wake()
  }
  const onError = (err: Error) => {
    failure ??= err
    wake()
  }
  const onClose = () => {
    if (!ended) failure ??= source.errored ?? prematureClose()
    wake()
  }
  source.on('end', onEnd).on('error', onError).on('close', onClose).on('data', onData)
  source.resume()
  signal?.addEventListener('abort', wake)
  if (source.destroyed) onClose()
  try {
    for (;;) {
      signal?.throwIfAborted()
      if (kept.length > 0) {
        const batch = kept
        kept = []
        keptBytes = 0
        if (source.isPaused()) source.resume()
        yield batch
      } else if (failure !== undefined) throw failure
      else if (ended) return
      else await new Promise<void>(resolve => (rouse = resolve))
    }
  } finally {
    source.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose)
    signal?.removeEventListener('abort', wake)
    if (!ended) leave(source, kept)
  }
}

/** Our consumer has left: the rest is its owner's business, and so is an error, which must not end the process. */
function leave(source: Readable, kept: readonly Buffer[]): void {
  source.on('error', ignore)
  if (source.destroyed) return
  source.pause()
  for (const piece of kept.toReversed()) source.unshift(piece)
}

function ignore(): void {}

function prematureClose(): Error {
  return Object.assign(new Error('Cannot read stream: closed before its end'), {
    code: 'ERR_STREAM_PREMATURE_CLOSE',
  })
}
