// What stays, by which pattern, and that a pin outlives the process.
import t from 'tap'
import { Pins } from '../../lib/eviction/pins.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { StorageError } from '../../lib/storage/driver/driver.ts'
import { layout } from '../../lib/storage/layout.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { manifestOf, mirrorBlob, mirrorManifest, openMirrorWorld } from '../support/mirrored-images.ts'
import { onEachDriver, openTestDriver } from '../support/stores.ts'

const nginx = parseRepositoryName('library/nginx')
const app = parseRepositoryName('ghcr.io/team/app')
const clock = new ManualClock()

for (const pattern of ['', ':tag', '@sha256:00', 'library/nginx@sha256:00', '/(/', 'library/nginx:/(/']) {
  void t.test(`Pins.pin() refuses "${pattern}"`, async t => {
    const driver = await openTestDriver(t, 'inmemory')
    const pins = new Pins({ driver, configured: [] })

    await t.rejects(pins.pin(pattern))

    t.same(await pins.list(), [])
    t.throws(() => new Pins({ driver, configured: [pattern] }))
  })
}

onEachDriver(t, 'Pins.list() does not take a broken file for none', async (t, driver) => {
  const pins = new Pins({ driver, configured: [] })
  for (const text of ['["library/', '{}', '[1]']) {
    await driver.writeAll(layout.pins, Buffer.from(text))

    await t.rejects(pins.list(), StorageError)
    await t.rejects(pins.pin('library/nginx'), StorageError)
  }
})

onEachDriver(t, 'Pins.pin() outlives the process, unpin() takes it away', async (t, driver) => {
  const before = new Pins({ driver, configured: ['library/*'] })
  await before.pin('ghcr.io/team/app')
  await before.pin('ghcr.io/team/app')
  const { version } = before

  const after = new Pins({ driver, configured: ['library/*'] })

  t.same(await after.list(), [
    { pattern: 'library/*', source: 'configuration' },
    { pattern: 'ghcr.io/team/app', source: 'operator' },
  ])
  t.equal(await after.unpin('library/*'), false, 'that is the configuration’s')
  t.equal(await after.unpin('ghcr.io/team/app'), true)
  t.equal(await after.unpin('ghcr.io/team/app'), false)
  t.equal((await before.list()).length, 1, 'nothing is remembered')
  t.equal(before.version, version)
})

const pinsOf: readonly (readonly [string, readonly string[]])[] = [
  ['library/nginx', ['nginx 1.0', 'nginx 1.1', 'nginx edge']],
  ['library/nginx:1.*', ['nginx 1.0', 'nginx 1.1']],
  ['library/ngin?:1.?', ['nginx 1.0', 'nginx 1.1']],
  ['docker.io/library/*:edge', ['nginx edge']],
  ['/^library\\//:/^1\\.[01]$/', ['nginx 1.0', 'nginx 1.1']],
  ['/app$/', ['app 1.0']],
  ['*', ['nginx 1.0', 'nginx 1.1', 'nginx edge', 'app 1.0']],
  ['ghcr.io/team/*:1.0', ['app 1.0']],
  ['ghcr.io/team', []],
  ['nginx:1.0', []],
  [`library/nginx@${digestOf(manifestOf([digestOf(Buffer.from('nginx edge'))]))}`, ['nginx edge']],
  [`ghcr.io/*@${digestOf(manifestOf([digestOf(Buffer.from('nginx edge'))]))}`, []],
]

for (const [pattern, wanted] of pinsOf) {
  void t.test(`Pins.resolve() of "${pattern}"`, async t => {
    const driver = await openTestDriver(t, 'inmemory')
    const { image, stores } = await openMirrorWorld(t, driver, { clock })
    const layers = new Map<string, string>()
    for (const [name, tag] of [
      [nginx, '1.0'],
      [nginx, '1.1'],
      [nginx, 'edge'],
      [app, '1.0'],
    ] as const) {
      const text = `${name.split('/').at(-1)} ${tag}`
      const made = await image(name, tag, [text])
      layers.set(text, made.layers[0] ?? '')
    }
    const namesOf = (name: string) => (name.startsWith('library/') ? [`docker.io/${name}`] : [])
    const pins = new Pins({ driver, configured: [pattern], namesOf })

    const pinned = await pins.resolve(stores)

    t.same(
      [...layers].filter(([, digest]) => pinned.has(digest as never)).map(([text]) => text),
      wanted,
    )
    t.equal(pinned.size, wanted.length * 2)
  })
}

onEachDriver(t, 'Pins.resolve() follows what a tag means now, down to the layers', async (t, driver) => {
  const world = await openMirrorWorld(t, driver, { clock, pinned: ['library/nginx:latest'] })
  const { image, pins, stores, tag } = world
  const old = await image(nginx, 'latest', ['old'])
  const young = await image(nginx, 'other', ['young'])
  const inner = await mirrorManifest(stores, nginx, manifestOf([young.manifest], 'index'))
  const index = await mirrorManifest(stores, nginx, manifestOf([inner], 'index'))

  await tag(nginx, 'latest', index)
  const pinned = await pins.resolve(stores)

  t.same([...pinned], [index, inner, young.manifest, ...young.layers])
  t.notOk(pinned.has(old.manifest))
})

onEachDriver(t, 'Pins.resolve() passes over broken links', async (t, driver) => {
  const { image, pins, stores } = await openMirrorWorld(t, driver, { clock, pinned: ['*'] })
  const { layers, manifest } = await image(nginx, 'latest', ['layer'])
  await driver.writeAll(layout.tagCurrent(nginx, 'broken' as never), Buffer.from('nonsense'))

  t.same([...(await pins.resolve(stores))], [manifest, ...layers])
})

onEachDriver(t, 'Pins.resolve() keeps what lies below a manifest without a marker', async (t, driver) => {
  const { pins, stores, tag } = await openMirrorWorld(t, driver, { clock, pinned: ['library/nginx:old'] })
  const layer = await mirrorBlob(stores, nginx, 'layer')
  const old = manifestOf([layer])
  await stores.manifests.store(nginx, old, digestOf(old))
  await mirrorManifest(stores, nginx, manifestOf([]))
  await tag(nginx, 'old', digestOf(old))

  t.ok((await pins.resolve(stores)).has(layer))
})
