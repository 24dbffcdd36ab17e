// Writes a tar in which nothing depends on when and by whom it is written: the same content gives the same bytes.
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { pack } from 'tar-stream'

export interface TarWriter {
  /** `content` has exactly `size` bytes, or this rejects. */
  add(name: string, size: number, content: AsyncIterable<Uint8Array>): Promise<void>
}

/** Runs `write`, and settles when all of it has gone to `output`, which is ended only if it is ours to end. */
export async function writeTar(
  output: Writable,
  { end, signal }: { readonly end: boolean; readonly signal?: AbortSignal | undefined },
  write: (tar: TarWriter) => Promise<void>,
): Promise<void> {
  const tar = pack()
  const sending = pipeline(tar as unknown as Readable, output, { end, ...(signal && { signal }) })
  // What breaks the one breaks the other; the first to fail is the one that says why.
  const failed = sending.then(
    (): Promise<never> => new Promise(() => {}),
    (err: unknown) => Promise.reject(err as Error),
  )
  failed.catch(() => {})
  try {
    await Promise.race([
      failed,
      write({
        add: async (name, size, content) => {
          const header = { name, size, mode: 0o644, mtime: new Date(0), type: 'file' } as const
          const entry = tar.entry(header) as unknown as Writable
          const done = finished(entry)
          done.catch(() => {})
          for await (const chunk of content) {
            if (!entry.write(chunk)) await Promise.race([once(entry, 'drain'), failed])
          }
          entry.end()
          await Promise.race([done, failed])
        },
      }),
    ])
    tar.finalize()
    await sending
  } catch (err) {
    tar.destroy(err as Error)
    await sending.catch(() => {})
    throw err
  }
}
