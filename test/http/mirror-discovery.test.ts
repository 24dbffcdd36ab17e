// What a client finds out through a mirror: lists that are unions, and content that is only fetched when it is wanted.
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { codesOf, putManifest, startApp } from '../support/http-client.ts'
import { app, filesBelow, startMirror, type MirrorOptions } from '../support/mirror.ts'
import { entryOf, referrerTo } from '../support/referrers.ts'

const subject = digestOf(Buffer.from('subject'))
const index = (note: string, manifests: readonly object[] = []) => ({
  schemaVersion: 2,
  mediaType: mediaTypes.ociIndex,
  manifests,
  annotations: { note },
})

async function start(t: Test, options: MirrorOptions = {}) {
  const mirror = await startMirror(t, options)
  const { url } = await startApp(t, { wrap: () => mirror.registry })
  return { ...mirror, url: `${url}/v2/${app}`, origin: url }
}

t.test(
  'GET tags/list and referrers show what is here and at the upstream; a stale list has a Warning',
  async t => {
    const { upstream, url, origin } = await start(t, { tagTtlMs: 0 })
    const theirs = referrerTo(subject, 'theirs')
    const ours = referrerTo(subject, 'ours')
    upstream.addManifest(app, 'theirs', theirs, mediaTypes.ociIndex)
    const put = await fetch(`${url}/manifests/ours`, {
      method: 'PUT',
      body: ours,
      headers: { 'Content-Type': mediaTypes.ociIndex },
    })
    t.equal(put.headers.get('oci-subject'), subject)

    for (const isStale of [false, true]) {
      if (isStale) upstream.failNext({ status: 503, times: 9 })
      const tags = await fetch(`${url}/tags/list`)
      t.same(await tags.json(), { name: app, tags: ['ours', 'theirs'] })
      const referrers = await fetch(`${url}/referrers/${subject}`)
      const manifests = [ours, theirs].map(entryOf).toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
      t.match(await referrers.json(), { manifests })
      for (const res of [tags, referrers]) {
        t.equal(res.status, 200)
        const warning = /^299 - "stale: upstream .* unavailable", 110 - "Response is Stale"$/
        if (isStale) t.match(res.headers.get('warning'), warning)
        else t.equal(res.headers.get('warning'), null)
        t.equal(res.headers.get('x-cache'), isStale ? 'STALE' : 'MISS')
        t.match(res.headers.get('age'), /^\d+$/)
      }
    }
    upstream.forgetFailures()
    const nowhere = await fetch(`${origin}/v2/no/where/tags/list`)
    t.equal(nowhere.status, 404)
    t.same(await codesOf(nowhere), ['NAME_UNKNOWN'])
  },
)

t.test('a referrer that the mirror lists can be pulled through it', async t => {
  const { upstream, url } = await start(t)
  const bytes = referrerTo(subject, 'signature')
  upstream.addManifest(app, undefined, bytes, mediaTypes.ociIndex)

  const { manifests } = (await (await fetch(`${url}/referrers/${subject}`)).json()) as {
    readonly manifests: readonly { readonly digest: string }[]
  }
  const res = await fetch(`${url}/manifests/${manifests[0]?.digest}`)

  t.same(Buffer.from(await res.arrayBuffer()), bytes)
})

t.test('a child of an index is fetched when it is asked for', async t => {
  const { upstream, url } = await start(t)
  const children = ['one', 'two'].map(note => Buffer.from(`  ${JSON.stringify(index(note))}\n`))
  const entries = children.map(bytes => entryOf(bytes))
  for (const bytes of children) upstream.addManifest(app, undefined, bytes, mediaTypes.ociIndex)
  upstream.addManifest(app, 'latest', index('parent', entries), mediaTypes.ociIndex)

  t.equal((await fetch(`${url}/manifests/latest`)).status, 200)
  t.equal(upstream.count(/manifests\/sha256/), 0)
  const res = await fetch(`${url}/manifests/${entries[0]?.digest}`)

  t.same(Buffer.from(await res.arrayBuffer()), children[0])
  t.equal(res.headers.get('docker-content-digest'), entries[0]?.digest)
  t.equal(upstream.count(/manifests\/sha256/), 1, 'and no other child')
})

t.test('HEAD of a blob that is not here is answered without a download', async t => {
  const { upstream, url, root } = await start(t)
  const digest = upstream.addBlob(app, randomBytes(100_000))

  const res = await fetch(`${url}/blobs/${digest}`, { method: 'HEAD' })

  t.equal(res.status, 200)
  t.equal(res.headers.get('content-length'), '100000')
  t.equal(res.headers.get('docker-content-digest'), digest)
  t.equal(upstream.bytesSent, 0)
  t.equal(upstream.count(/^GET/), 0)
  t.same(filesBelow(root), [])
})

t.test(
  'a manifest that is not what its upstream says, or what was asked for, is refused and not kept',
  async t => {
    const { upstream, url, root } = await start(t)
    const digest = upstream.addManifest(app, 'latest', index('honest'), mediaTypes.ociIndex)
    const wanted = digestOf(Buffer.from('wanted'))
    upstream.addManifest(app, wanted, index('forged'), mediaTypes.ociIndex)

    upstream.behaviour.contentDigest = wanted
    for (const reference of ['latest', digest]) {
      const res = await fetch(`${url}/manifests/${reference}`)
      t.equal(res.status, 503, reference)
      t.same(await codesOf(res), ['UNAVAILABLE'])
    }
    upstream.behaviour.contentDigest = false
    t.equal((await fetch(`${url}/manifests/${wanted}`)).status, 503)
    t.same(filesBelow(root), [])
    upstream.behaviour.contentDigest = true
    t.equal((await fetch(`${url}/manifests/latest`)).status, 200, 'the next answer is taken for what it is')
  },
)

t.test('pushing below an index whose child the upstream has', async t => {
  const { upstream, url, origin } = await start(t)
  const child = Buffer.from(JSON.stringify(index('child')))
  upstream.addManifest(app, undefined, child, mediaTypes.ociIndex)
  const body = JSON.stringify({ ...index('parent', [entryOf(child)]), subject: entryOf(child) })

  const res = await fetch(`${url}/manifests/pushed`, {
    method: 'PUT',
    body,
    headers: { 'Content-Type': mediaTypes.ociIndex },
  })

  t.equal(res.status, 201)
  t.equal(res.headers.get('oci-subject'), digestOf(child))
  t.equal((await putManifest(origin, app, 'bad', '{}')).status, 400)
})
