// Manifests, bent as documents and as bytes.
import assert from 'node:assert/strict'
import t from 'tap'
import { isDigest } from '../../lib/oci/digest.ts'
import { parseManifest } from '../../lib/oci/manifest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { fuzz, type RandomInputs } from '../support/random-inputs.ts'

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`
const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size: 1234 }
const documents: readonly object[] = [
  {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: 'application/vnd.example+type',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 10 },
    layers: [descriptor, { ...descriptor, urls: ['https://example.com/layer'] }],
    subject: { ...descriptor, mediaType: mediaTypes.ociManifest },
    annotations: { 'org.opencontainers.image.created': '2026-01-01T00:00:00Z' },
  },
  {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      { ...descriptor, mediaType: mediaTypes.ociManifest, platform: { architecture: 'arm64', os: 'linux' } },
    ],
  },
  { schemaVersion: 2, mediaType: mediaTypes.dockerManifest, config: descriptor, layers: [] },
  { schemaVersion: 2, config: descriptor, layers: null },
]
const texts = documents.map(document => JSON.stringify(document))
const strangers: readonly unknown[] = [
  ...[null, true, 0, -1, 1.5, 1e308, 2 ** 53, '', 'x', [], {}, [[]], [null], { digest: null }, { size: '1' }],
  ...[digest, 'sha256:', `sha512:${'a'.repeat(128)}`, mediaTypes.ociIndex, { length: 3 }, 'a'.repeat(5000)],
]

/** Puts something else at random places of a document. */
function bendDocument(random: RandomInputs, value: unknown, depth = 0): unknown {
  if (random.chance(0.06)) return random.pick([...strangers, documents])
  if (depth > 5 || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const bent = value.map(member => bendDocument(random, member, depth + 1))
    return random.chance(0.05) ? Array.from({ length: 50 }, () => bent[0]) : bent
  }
  const entries = Object.entries(value).map(([key, member]) => [
    random.chance(0.03)
      ? random.pick(['__proto__', 'constructor', 'digest', 'layers', 'manifests', ''])
      : key,
    bendDocument(random, member, depth + 1),
  ])
  return Object.fromEntries(entries.filter(() => !random.chance(0.03))) as unknown
}

const contentTypes = [
  ...[mediaTypes.ociManifest, mediaTypes.ociIndex, mediaTypes.dockerManifest, mediaTypes.dockerManifestList],
  ...['application/json', `${mediaTypes.ociManifest}; charset=utf-8`, ''],
]

function makeBytes(random: RandomInputs): Buffer {
  if (random.chance(0.5)) return Buffer.from(JSON.stringify(bendDocument(random, random.pick(documents))))
  const bytes = Buffer.from(random.text(texts), random.chance(0.5) ? 'utf8' : 'latin1')
  if (bytes.length > 0 && random.chance(0.2)) bytes[random.below(bytes.length)] = random.below(256)
  return bytes
}

fuzz(t, 'parseManifest()', {
  make: random => ({
    bytes: makeBytes(random),
    contentType: random.chance(0.3) ? undefined : random.text(contentTypes),
  }),
  call({ bytes, contentType }) {
    const { mediaType, blobs, manifests, subject, annotations } = parseManifest(bytes, contentType)

    assert.equal(typeof mediaType, 'string')
    for (const { digest, size } of [...blobs, ...manifests, ...(subject === undefined ? [] : [subject])]) {
      assert.ok(isDigest(digest) && Number.isSafeInteger(size) && size >= 0)
    }
    for (const value of Object.values(annotations ?? {})) assert.equal(typeof value, 'string')
  },
})
