import t from 'tap'
import { createEventId, formatEnvelope } from '../../lib/notifications/event.ts'
import { parseDigest } from '../../lib/oci/digest.ts'

const atMs = Date.parse('2026-11-24T08:54:36.120Z')
const source = { addr: 'registry-1:5000', instanceId: 'a51f1d5b-7f4c-7c6a-8f3e-2b7f3c1d0e4a' }
const digest = parseDigest(`sha256:${'a'.repeat(64)}`)

t.test('formatEnvelope() writes the members of a push as distribution does, in its order', async t => {
  const envelope = formatEnvelope(
    {
      action: 'push',
      target: {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest,
        size: 708,
        repository: 'team/app',
        url: `http://r.example/v2/team/app/manifests/${digest}`,
        tag: 'v1',
        references: [{ mediaType: 'application/octet-stream', digest, size: 1 }],
      },
      request: { id: 'r1', addr: '192.0.2.7:4711', host: 'r.example', method: 'PUT', useragent: 'docker/1' },
      actor: 'alice',
    },
    source,
    atMs,
  )

  const id = (JSON.parse(envelope) as { events: [{ id: string }] }).events[0].id
  t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.equal(
    envelope,
    `{
   "events": [
      {
         "id": "${id}",
         "timestamp": "2026-11-24T08:54:36.120Z",
         "action": "push",
         "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": "${digest}",
            "size": 708,
            "length": 708,
            "repository": "team/app",
            "url": "http://r.example/v2/team/app/manifests/${digest}",
            "tag": "v1",
            "references": [
               {
                  "mediaType": "application/octet-stream",
                  "digest": "${digest}",
                  "size": 1
               }
            ]
         },
         "request": {
            "id": "r1",
            "addr": "192.0.2.7:4711",
            "host": "r.example",
            "method": "PUT",
            "useragent": "docker/1"
         },
         "actor": {
            "name": "alice"
         },
         "source": {
            "addr": "registry-1:5000",
            "instanceID": "a51f1d5b-7f4c-7c6a-8f3e-2b7f3c1d0e4a"
         }
      }
   ]
}`,
  )
})

t.test('formatEnvelope() leaves out what is empty, but never media type, digest and size', async t => {
  const envelope = formatEnvelope({ action: 'delete', target: { repository: 'a', tag: 'v1' } }, source, atMs)

  const { events } = JSON.parse(envelope) as { events: [Record<string, unknown>] }
  t.same(events[0]['target'], { mediaType: '', digest: '', size: 0, repository: 'a', tag: 'v1' })
  t.same(events[0]['actor'], {})
})

t.test('createEventId() makes ids that begin with their time', async t => {
  t.equal(createEventId(0x0123_4567_89ab).slice(0, 13), '01234567-89ab')
  t.not(createEventId(1), createEventId(1))
})
