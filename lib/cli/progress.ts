// How a warm-up is shown: on a terminal one line for each image, written over while it is under way; elsewhere a line for
// each thing that happened, so that a log of it can be read.
import type { WarmProgress } from '../proxy/warm-progress.ts'
import type { Output } from './io.ts'
import { formatBytes, formatTime } from './quantities.ts'
import { printable } from './table.ts'

export interface WarmDisplay {
  show(event: WarmProgress): void
  /** Leaves the line that is under way as it is. */
  end(): void
}

export function createWarmDisplay(output: Output): WarmDisplay {
  return output.isTTY === true ? onTerminal(output) : asLines(output)
}

function asLines(output: Output): WarmDisplay {
  return {
    show(event) {
      const text = textOf(event)
      if (text !== undefined && event.kind !== 'started')
        output.write(`${printable(`${event.image}: ${text}`)}\n`)
    },
    end: () => {},
  }
}

function onTerminal(output: Output): WarmDisplay {
  let blobs = 0
  let blobsDone = 0
  let bytes: string | undefined
  let remarks = ''
  let isUnderWay = false

  function draw(image: string, text: string): void {
    isUnderWay = true
    // One that wraps could not be written over.
    const line = printable(`${image}: ${text}`).slice(0, Math.max(1, (output.columns ?? 80) - 1))
    output.write(`\r\x1b[K${line}`)
  }

  return {
    show(event) {
      const { image } = event
      switch (event.kind) {
        case 'started':
          ;[blobs, blobsDone, bytes, remarks] = [0, 0, undefined, '']
          return draw(image, 'finding out what belongs to it')
        case 'resolved':
          blobs = event.blobs
          remarks = remarksOn(event)
          return draw(image, `0 of ${blobs} blobs, ${formatBytes(event.totalBytes)}`)
        case 'blob':
          blobsDone++
          break
        case 'bytes':
          bytes = `${formatBytes(event.doneBytes)} of ${formatBytes(event.totalBytes)}`
          break
        case 'done':
        case 'failed':
          output.write(`\r\x1b[K${printable(`${image}: ${textOf(event) ?? ''}${remarks}`)}\n`)
          isUnderWay = false
          return
        default:
          event satisfies never
      }
      draw(image, `${blobsDone} of ${blobs} blobs${bytes === undefined ? '' : `, ${bytes}`}`)
    },
    end() {
      if (isUnderWay) output.write('\n')
      isUnderWay = false
    },
  }
}

/** undefined: no line of its own. */
function textOf(event: WarmProgress): string | undefined {
  switch (event.kind) {
    case 'resolved':
      return `${event.digest}, ${event.blobs} blobs, ${formatBytes(event.totalBytes)}${remarksOn(event)}`
    case 'done': {
      const { fetchedBytes, presentBytes, elapsedMs } = event
      return `fetched ${formatBytes(fetchedBytes)}, had ${formatBytes(presentBytes)}, took ${formatTime(elapsedMs)}`
    }
    case 'failed':
      return `failed: ${event.message}`
    default:
      return undefined
  }
}

function remarksOn({ missing, stale }: Extract<WarmProgress, { readonly kind: 'resolved' }>): string {
  const lacks = missing.length === 0 ? '' : `, has no ${missing.join(' and no ')}`
  return `${lacks}${stale === undefined ? '' : `, stale: ${stale}`}`
}
