// Reads a stream in large steps. Node hands out network data in pieces of at most 64 KiB; while the consumer is busy
// with one batch, further pieces pile up in the stream's own buffer (bounded by its highWaterMark, which is what holds
// the sender back), and the next batch takes all of them at once. A slow sender's bytes come at once, a fast one's in
// large writes.
import type { Readable } from 'node:stream'
import type { CallOptions } from '../oci/descriptor.ts'

/**
 * Everything that `source` yields, in batches of what had arrived. Throws the source's error, or an Error with code
 * `ERR_STREAM_PREMATURE_CLOSE` if it closed before its end, or `signal.reason`. Does not destroy the source.
 */
export async function* batches(
  source: Readable,
  { signal }: CallOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  let failure: Error | undefined
  let ended = source.readableEnded
  let rouse: (() => void) | undefined
  const wake = () => rouse?.()
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
  source.on('readable', wake).on('end', onEnd).on('error', onError).on('close', onClose)
  signal?.addEventListener('abort', wake)
  if (source.destroyed) onClose()
  try {
    for (;;) {
      signal?.throwIfAborted()
      const batch = source.read() as Buffer | null
      if (batch !== null) yield batch
      else if (failure !== undefined) throw failure
      else if (ended) return
      else await new Promise<void>(resolve => (rouse = resolve))
    }
  } finally {
    source.off('readable', wake).off('end', onEnd).off('error', onError).off('close', onClose)
    signal?.removeEventListener('abort', wake)
    if (!ended) source.on('error', ignore)
  }
}

/** After we have left, an error of the source is its owner's business and must not end the process. */
function ignore(): void {}

function prematureClose(): Error {
  return Object.assign(new Error('Cannot read stream: closed before its end'), {
    code: 'ERR_STREAM_PREMATURE_CLOSE',
  })
}
