// What the recorded scripts push: blobs and manifests of every kind, the same in every run.
import { createHash } from 'node:crypto'

export const digestOf = bytes => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
export const sha512Of = bytes => `sha512:${createHash('sha512').update(bytes).digest('hex')}`
const blob = bytes => ({ bytes, digest: digestOf(bytes) })
const json = value => blob(Buffer.from(JSON.stringify(value)))

export const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  schema2: 'application/vnd.docker.distribution.manifest.v2+json',
  list: 'application/vnd.docker.distribution.manifest.list.v2+json',
}

export const layer = blob(Buffer.from('0123456789'.repeat(100)))
export const other = blob(Buffer.from('another layer, which nothing refers to'))
export const empty = blob(Buffer.alloc(0))
export const config = json({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } })
export const absent = digestOf(Buffer.from('absent'))

const described = (mediaType, { bytes, digest }) => ({ mediaType, digest, size: bytes.length })

export const ociManifest = json({
  schemaVersion: 2,
  mediaType: types.manifest,
  config: described('application/vnd.oci.image.config.v1+json', config),
  layers: [described('application/vnd.oci.image.layer.v1.tar', layer)],
})
export const bareManifest = json({
  schemaVersion: 2,
  config: described('application/vnd.oci.image.config.v1+json', config),
  layers: [described('application/vnd.oci.image.layer.v1.tar', layer)],
  annotations: { bare: 'yes' },
})
export const schema2 = json({
  schemaVersion: 2,
  mediaType: types.schema2,
  config: described('application/vnd.docker.container.image.v1+json', config),
  layers: [described('application/vnd.docker.image.rootfs.diff.tar.gzip', layer)],
})
const child = (mediaType, manifest, architecture) => ({
  ...described(mediaType, manifest),
  platform: { architecture, os: 'linux' },
})
export const ociIndex = json({
  schemaVersion: 2,
  mediaType: types.index,
  manifests: [child(types.manifest, ociManifest, 'amd64')],
})
export const list = json({
  schemaVersion: 2,
  mediaType: types.list,
  manifests: [child(types.schema2, schema2, 'amd64')],
})
export const armList = json({
  schemaVersion: 2,
  mediaType: types.list,
  manifests: [child(types.schema2, schema2, 'arm64')],
})

const brokenDescriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: absent, size: 1 }
export const broken = {
  'a missing layer': [types.manifest, JSON.parse(ociManifest.bytes), m => (m.layers = [brokenDescriptor])],
  'a missing config': [
    types.manifest,
    JSON.parse(ociManifest.bytes),
    m => (m.config = { ...brokenDescriptor }),
  ],
  'a missing child': [types.index, JSON.parse(ociIndex.bytes), m => (m.manifests[0].digest = absent)],
  'another media type within': [types.manifest, JSON.parse(schema2.bytes), () => {}],
  'schema version 1': [types.manifest, JSON.parse(ociManifest.bytes), m => (m.schemaVersion = 1)],
  'a digest that is none': [
    types.manifest,
    JSON.parse(ociManifest.bytes),
    m => (m.layers[0].digest = 'sha256:1'),
  ],
  'layers in an index': [types.index, JSON.parse(ociIndex.bytes), m => (m.layers = [])],
  'manifests in a manifest': [types.manifest, JSON.parse(ociManifest.bytes), m => (m.manifests = [])],
  'no schema version': [types.manifest, JSON.parse(ociManifest.bytes), m => delete m.schemaVersion],
}
for (const [name, [type, manifest, change]] of Object.entries(broken)) {
  change(manifest)
  broken[name] = { type, bytes: Buffer.from(JSON.stringify(manifest)) }
}
