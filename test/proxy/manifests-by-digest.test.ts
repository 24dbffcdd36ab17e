// That a manifest is served and kept whatever the room there is for it.
import t from 'tap'
import { systemClock } from '../../lib/clock.ts'
import { abortable } from '../../lib/keyed-lock.ts'
import { createLogger } from '../../lib/log.ts'
import type { CallOptions } from '../../lib/oci/descriptor.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { digestReference } from '../../lib/oci/reference.ts'
import { defaultFreshness } from '../../lib/proxy/freshness.ts'
import { keepEverything } from '../../lib/proxy/keeping.ts'
import { createPullThroughRegistry } from '../../lib/proxy/pull-through.ts'
import { app, startMirror } from '../support/mirror.ts'
import { routeAllTo } from '../support/route-all-to.ts'

t.test('get() does not wait for ever for room, and stores the manifest without', async t => {
  const { local, stores, mirroredTags, fills, client, upstream } = await startMirror(t)
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] }),
  )
  const digest = digestOf(bytes)
  upstream.addManifest(app, digest, bytes, mediaTypes.ociIndex)
  const keeping = {
    ...keepEverything,
    makeRoom: (_: number, { signal }: CallOptions = {}) => abortable(new Promise<boolean>(() => {}), signal),
  }
  const registry = createPullThroughRegistry({
    ...{ local, stores, mirroredTags, fills, keeping, clock: systemClock, observe: () => {} },
    logger: createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} }),
    routing: routeAllTo(client, 'upstream.example', defaultFreshness(0)),
  })
  t.teardown(() => registry.drain(0))

  const served = await registry.repository(app).manifests.get(digestReference(digest))

  t.same(served.bytes, bytes)
  t.not(await stores.manifests.get(app, digest), undefined)
})
