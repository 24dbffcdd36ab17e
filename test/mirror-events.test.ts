import t from 'tap'
import { createMirrorEvents } from '../lib/mirror-events.ts'
import type { RegistryEvent } from '../lib/notifications/event.ts'
import { parseDigest } from '../lib/oci/digest.ts'
import { mediaTypes } from '../lib/oci/media-types.ts'
import { parseRepositoryName } from '../lib/oci/repository-name.ts'

const digest = parseDigest(`sha256:${'a'.repeat(64)}`)
const repositories = ['app', 'web'].map(parseRepositoryName)

t.test('createMirrorEvents() tells of an eviction in each repository that had the content', async t => {
  const events: RegistryEvent[] = []
  const mirror = createMirrorEvents({ publish: event => void events.push(event) })
  const entry = { kind: 'blob', digest, size: 5, repositories, refs: [], markedAtMs: 0 } as const

  mirror.eviction({ kind: 'evicted', entry, bytes: 5 })
  mirror.eviction({ kind: 'used', bytes: 0 })

  t.match(events, [
    { action: 'evict', target: { mediaType: mediaTypes.octetStream, digest, size: 5, repository: 'app' } },
    { action: 'evict', target: { repository: 'web' } },
  ])
})

t.test('createMirrorEvents() tells of fills that are stored, and of no others', async t => {
  const events: RegistryEvent[] = []
  const mirror = createMirrorEvents({ publish: event => void events.push(event) })
  const [repository = parseRepositoryName('app')] = repositories
  const descriptor = { mediaType: mediaTypes.octetStream, digest, size: 5 }

  mirror.fill({ kind: 'fill-started' })
  mirror.fill({ kind: 'fill-settled', outcome: 'passed', repository, descriptor })
  mirror.fill({ kind: 'fill-settled', outcome: 'failed', repository, descriptor: undefined })
  mirror.fill({ kind: 'fill-settled', outcome: 'stored', repository, descriptor })

  t.match(events, [{ action: 'fill', target: { digest, size: 5, repository: 'app' } }])
  t.equal(events.length, 1)
})
