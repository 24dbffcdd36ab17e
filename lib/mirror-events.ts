// What a mirror does by itself, as events for those who want to hear of it: no request is their cause, or not one alone.
import type { EvictionEvent } from './eviction/evictor.ts'
import type { EventSink } from './notifications/event.ts'
import { mediaTypes } from './oci/media-types.ts'
import type { FillEvent } from './proxy/fills.ts'
import type { StaleTag } from './proxy/stale-log.ts'

export function createMirrorEvents(sink: EventSink) {
  return {
    /** A blob has come into the store. */
    fill(event: FillEvent): void {
      if (event.kind !== 'fill-settled' || event.outcome !== 'stored') return
      sink.publish({ action: 'fill', target: { ...event.descriptor, repository: event.repository } })
    },
    /** Content has gone: one event for each repository that had it. */
    eviction(event: EvictionEvent): void {
      if (event.kind !== 'evicted') return
      const { digest, size, kind, repositories } = event.entry
      const mediaType = kind === 'blob' ? mediaTypes.octetStream : undefined
      for (const repository of repositories) {
        sink.publish({ action: 'evict', target: { mediaType, digest, size, repository } })
      }
    },
    /** A tag is served that may be out of date. */
    stale({ repository, tag, descriptor }: StaleTag): void {
      const { mediaType, digest, size } = descriptor
      sink.publish({ action: 'stale', target: { mediaType, digest, size, repository, tag } })
    },
  }
}
