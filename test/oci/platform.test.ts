import t from 'tap'
import { parseDigest } from '../../lib/oci/digest.ts'
import { entriesFor, formatPlatform, machinePlatform, parsePlatform } from '../../lib/oci/platform.ts'

const digest = parseDigest(`sha256:${'ab'.repeat(32)}`)

/** The platforms of those entries, of an index with these, that are for `wanted`. */
function chosen(wanted: string, ...platforms: readonly string[]): readonly string[] {
  const platform = parsePlatform(wanted)
  if (platform === undefined) throw new Error(`no platform: ${wanted}`)
  const entries = platforms.map(text => ({
    mediaType: 'a/b',
    digest,
    size: 1,
    platform: parsePlatform(text),
  }))
  return entriesFor(platform, entries).map(entry => (entry.platform ? formatPlatform(entry.platform) : ''))
}

t.test('parsePlatform() rejects what is none', async t => {
  for (const text of ['', 'linux', 'linux/', '/amd64', 'a/b/c/d', 'linux/amd 64', 'all'])
    t.equal(parsePlatform(text), undefined, text)
})

t.test('parsePlatform() takes os, architecture and a variant', async t => {
  t.same(parsePlatform('Linux/AMD64'), { os: 'linux', architecture: 'amd64' })
  t.same(parsePlatform('linux/arm/v7'), { os: 'linux', architecture: 'arm', variant: 'v7' })
})

t.test('machinePlatform() speaks of Node’s architectures as Go does', async t => {
  t.equal(formatPlatform(machinePlatform('x64')), 'linux/amd64')
  t.equal(formatPlatform(machinePlatform('arm64')), 'linux/arm64')
  t.equal(formatPlatform(machinePlatform('ia32')), 'linux/386')
})

t.test('entriesFor() chooses nothing where nothing fits', async t => {
  t.same(chosen('linux/amd64', 'linux/arm64', 'windows/amd64', 'not a platform'), [])
  t.same(chosen('linux/arm/v6', 'linux/arm/v7'), [])
  t.same(chosen('linux/mips/odd', 'linux/mips/other'), [])
})

t.test('entriesFor() takes the variant itself, else the newest older one', async t => {
  t.same(chosen('linux/arm64', 'linux/amd64', 'linux/arm64/v8'), ['linux/arm64/v8'])
  t.same(chosen('linux/arm64/v8', 'linux/arm64'), ['linux/arm64'])
  t.same(chosen('linux/arm', 'linux/arm/v5', 'linux/arm/v6'), ['linux/arm/v6'])
  t.same(chosen('linux/amd64/v3', 'linux/amd64', 'linux/amd64/v2', 'linux/amd64/v4'), ['linux/amd64/v2'])
  t.same(chosen('linux/amd64', 'linux/amd64', 'linux/amd64/v2'), ['linux/amd64'])
  t.same(chosen('windows/amd64', 'windows/amd64', 'windows/amd64'), ['windows/amd64', 'windows/amd64'])
})
