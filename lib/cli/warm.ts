// `registry cache warm`: has a running server pull images, and shows how far it is. The server does the work; it stops when
// this program ends.
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { parseWarmRequest } from '../proxy/warm-request.ts'
import { withCache, type CacheCommand } from './find-cache.ts'
import type { Io, StopSignal } from './io.ts'
import { createWarmDisplay } from './progress.ts'

export interface WarmOptions {
  /** Separated by commas. */
  readonly platform?: string | undefined
  readonly withReferrers?: boolean | undefined
  /** With an image a line; `-` is stdin. */
  readonly file?: string | undefined
}

const exitCodes: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 }

/** Settles with the exit code: 1 where an image failed, that of the signal after one. */
export function warm(command: CacheCommand, named: readonly string[], options: WarmOptions): Promise<number> {
  const { io } = command
  return withCache(command, async cache => {
    const images = [...named, ...(options.file === undefined ? [] : await imagesIn(options.file, io))]
    if (images.length === 0) throw new Error('Cannot warm: expected an image, or a --file with some')
    const platforms = (options.platform ?? '').split(',').filter(platform => platform !== '')
    const request = parseWarmRequest({ images, platforms, referrers: options.withReferrers === true })

    const stopping = new AbortController()
    let exitCode = 0
    const listening = io.onSignal(signal => {
      exitCode = exitCodes[signal]
      stopping.abort(new Error(`stopped by ${signal}`))
    })
    const display = createWarmDisplay(io.stdout)
    try {
      for await (const event of cache.warm(request, stopping)) {
        display.show(event)
        if (event.kind === 'failed') exitCode ||= 1
      }
    } catch (err) {
      if (!stopping.signal.aborted) throw err
    } finally {
      display.end()
      listening()
    }
    return exitCode
  })
}

async function imagesIn(file: string, io: Io): Promise<readonly string[]> {
  const content = file === '-' ? await text(Readable.from(io.stdin)) : await readFile(file, 'utf8')
  return content
    .split('\n')
    .map(line => line.replace(/#.*$/, '').trim())
    .filter(line => line !== '')
}
