// What is remembered, for how many, and what a forget changes.
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createDescriptorCache, noDescriptorCache } from '../../lib/storage/descriptor-cache.ts'

const name = parseRepositoryName('team/app')
const digests = Array.from({ length: 20 }, (_, i) => digestOf(Buffer.from([i])))
const [a = digestOf(Buffer.alloc(0)), b = a] = digests

t.test('createDescriptorCache() with 0 entries remembers without limit', async t => {
  const cache = createDescriptorCache(0)

  for (const digest of digests) cache.rememberSize(digest, 1, cache.epoch)

  t.ok(digests.every(digest => cache.size(digest) === 1))
})

t.test('createDescriptorCache() drops the least recently used beyond its limit', async t => {
  const cache = createDescriptorCache(2)
  for (const digest of digests.slice(0, 2)) cache.rememberSize(digest, 1, cache.epoch)
  cache.size(a)

  cache.rememberSize(digests[2] ?? a, 1, cache.epoch)

  t.equal(cache.size(a), 1)
  t.equal(cache.size(b), undefined)
})

t.test('DescriptorCache.epoch changes with every forget, also of what is not remembered', async t => {
  const cache = createDescriptorCache(10)
  const epochs = [cache.epoch]

  cache.forgetSize(a)
  epochs.push(cache.epoch)
  cache.forgetLink(name, 'layer', a)
  epochs.push(cache.epoch)
  cache.rememberSize(a, 1, cache.epoch)

  t.equal(new Set(epochs).size, 3)
  t.equal(cache.epoch, epochs[2])
})

t.test('DescriptorCache does not remember what was found before something was forgotten', async t => {
  const cache = createDescriptorCache(10)
  const since = cache.epoch
  cache.forgetSize(b)

  cache.rememberSize(a, 1, since)
  cache.rememberLink(name, 'layer', a, a, since)

  t.equal(cache.size(a), undefined)
  t.equal(cache.link(name, 'layer', a), undefined)
})

t.test('DescriptorCache keeps layers and manifests, and repositories, apart', async t => {
  const cache = createDescriptorCache(10)
  cache.rememberLink(name, 'layer', a, b, cache.epoch)

  t.equal(cache.link(name, 'layer', a), b)
  t.equal(cache.link(name, 'manifest', a), undefined)
  t.equal(cache.link(parseRepositoryName('team/other'), 'layer', a), undefined)

  cache.forgetLink(name, 'manifest', a)
  t.equal(cache.link(name, 'layer', a), b)
  cache.forgetLink(name, 'layer', a)
  t.equal(cache.link(name, 'layer', a), undefined)
})

t.test('DescriptorCache keeps an empty blob in mind, and tells its observer of every question', async t => {
  const seen: boolean[] = []
  const cache = createDescriptorCache(10, hit => void seen.push(hit))

  cache.size(a)
  cache.rememberSize(a, 0, cache.epoch)
  cache.size(a)

  t.equal(cache.size(a), 0)
  t.same(seen, [false, true, true])
})

t.test('noDescriptorCache remembers nothing', async t => {
  noDescriptorCache.rememberSize(a, 1, 0)
  noDescriptorCache.rememberLink(name, 'layer', a, a, 0)

  t.equal(noDescriptorCache.size(a), undefined)
  t.equal(noDescriptorCache.link(name, 'layer', a), undefined)
})
