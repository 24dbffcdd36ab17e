#!/usr/bin/env node
// Makes a small image from nothing, as an OCI layout tagged `latest`, without network or root.
//
//   make-image.mjs DEST [--seed TEXT] [--layers N] [--bytes N] [--platforms amd64,arm64]
//
// One platform gives a manifest, several give an index. Equal arguments give equal digests: nothing in an image
// depends on the clock or on chance. `--bytes` is the size of the incompressible file in each layer.
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: 'hello' },
    layers: { type: 'string', default: '1' },
    bytes: { type: 'string', default: '200' },
    platforms: { type: 'string', default: 'amd64' },
  },
})
const [destination] = positionals
if (destination === undefined) {
  console.error('usage: make-image.mjs DEST [--seed TEXT] [--layers N] [--bytes N] [--platforms amd64,arm64]')
  process.exit(2)
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const blobs = path.join(destination, 'blobs/sha256')
mkdirSync(blobs, { recursive: true })

const platforms = values.platforms.split(',')
const manifests = platforms.map(architecture => ({
  ...writeManifest(architecture),
  platform: { architecture, os: 'linux' },
}))
const top = platforms.length === 1 ? withoutPlatform(manifests[0]) : writeIndex(manifests)
const tagged = { ...top, annotations: { 'org.opencontainers.image.ref.name': 'latest' } }
writeFileSync(path.join(destination, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
writeFileSync(path.join(destination, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [tagged] }))
console.log(top.digest)

function writeManifest(architecture) {
  const tars = Array.from({ length: Number(values.layers) }, (_, i) => {
    const content = pseudoRandom(`${values.seed} ${architecture} ${i}`, Number(values.bytes))
    return tar(`${values.seed}-${i}.bin`, content)
  })
  const config = Buffer.from(
    JSON.stringify({
      created: '2024-01-01T00:00:00Z',
      architecture,
      os: 'linux',
      config: { Cmd: ['/bin/true'], Labels: { seed: values.seed } },
      rootfs: { type: 'layers', diff_ids: tars.map(digestOf) },
      history: tars.map(() => ({ created: '2024-01-01T00:00:00Z', created_by: 'make-image' })),
    }),
  )
  return writeJson(manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config: writeBlob('application/vnd.oci.image.config.v1+json', config),
    layers: tars.map(bytes =>
      writeBlob('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(bytes, { level: 9 })),
    ),
  })
}

function writeIndex(entries) {
  const indexType = 'application/vnd.oci.image.index.v1+json'
  return writeJson(indexType, { schemaVersion: 2, mediaType: indexType, manifests: entries })
}

function writeJson(mediaType, document) {
  return writeBlob(mediaType, Buffer.from(JSON.stringify(document)))
}

function writeBlob(mediaType, bytes) {
  const digest = digestOf(bytes)
  writeFileSync(path.join(blobs, digest.slice('sha256:'.length)), bytes)
  return { mediaType, digest, size: bytes.length }
}

function withoutPlatform({ mediaType, digest, size }) {
  return { mediaType, digest, size }
}

function digestOf(bytes) {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Bytes that do not compress, the same for the same seed. */
function pseudoRandom(seed, size) {
  const blocks = []
  for (let i = 0; i * 64 < size; i++) blocks.push(createHash('sha512').update(`${seed} ${i}`).digest())
  return Buffer.concat(blocks).subarray(0, size)
}

/** A tar archive (ustar) with one file. */
function tar(name, content) {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write(' '.repeat(8), 148)
  header.write('0', 156)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512)
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)])
}
