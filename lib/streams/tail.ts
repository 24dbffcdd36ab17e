// A stream over content that is still growing: it reads what is stored so far, waits for more, and ends when the
// content is complete. The reader's own pace decides when it reads, so a slow one holds a position and nothing else.
import { addAbortSignal, Readable } from 'node:stream'
import type { CallOptions } from '../oci/descriptor.ts'

/** Content that grows. */
export interface GrowingContent {
  /**
   * Resolves with the number of bytes that may be read, as soon as that is more than `position` or the content is
   * complete; rejects if it failed.
   */
  waitBeyond(position: number, options?: CallOptions): Promise<number>
  /** Between 1 and `maxBytes` bytes from `position`, which is below what waitBeyond() told. */
  readAt(position: number, maxBytes: number, options?: CallOptions): Promise<Buffer>
}

const chunkBytes = 256 * 1024

/**
 * Bytes `start` up to but not including `end` (undefined: the end of the content). Errs with the content's failure,
 * or with an AbortError when `signal` is aborted. `onClose` runs once, whatever the stream's end was.
 */
export function tail(
  content: GrowingContent,
  range: { readonly start: number; readonly end: number | undefined },
  options: CallOptions & { readonly onClose?: () => void } = {},
): Readable {
  const closing = new AbortController()
  let position = range.start
  const stream = new Readable({
    highWaterMark: chunkBytes,
    read() {
      step().catch((err: unknown) =>
        stream.destroy(err instanceof Error ? err : new Error('Cannot read', { cause: err })),
      )
    },
    destroy(err, done) {
      closing.abort()
      options.onClose?.()
      done(err)
    },
  })

  async function step(): Promise<void> {
    if (position === range.end) return void stream.push(null)
    const limit = await content.waitBeyond(position, { signal: closing.signal })
    if (limit <= position) return void stream.push(null)
    const available = Math.min(limit, range.end ?? limit) - position
    const chunk = await content.readAt(position, Math.min(chunkBytes, available), { signal: closing.signal })
    position += chunk.length
    stream.push(chunk)
  }

  return options.signal === undefined ? stream : addAbortSignal(options.signal, stream)
}
