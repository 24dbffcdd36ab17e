// Reads what `docker save` wrote: manifest.json says which files are config and layers. A manifest is made of that, the
// same one each time, with the layers as they lie there. Source: Docker Image Specification v1.2, "Combined Image JSON".
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import * as z from 'zod'
import { digestOf, Hasher, isDigest, type Digest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { ArchiveContents, ArchiveImage } from './contents.ts'
import { ArchiveError, readJson, readSmall, type ArchiveFiles } from './files.ts'

const maxConfigBytes = 8 * 1024 * 1024
const savedImages = z
  .array(
    z.object({
      Config: z.string(),
      RepoTags: z.array(z.string()).nullish(),
      Layers: z.array(z.string()).max(1000),
    }),
  )
  .max(10_000)
const configDocument = z.object({ rootfs: z.object({ diff_ids: z.array(z.string()) }) })
const configType = 'application/vnd.docker.container.image.v1+json'
const layerType = 'application/vnd.docker.image.rootfs.diff.tar'

interface Layer {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  /** Of the content without compression. */
  readonly diffId: Digest
}

/** undefined where the archive has no manifest.json. ArchiveError. */
export async function readDockerArchive(
  files: ArchiveFiles,
  signal?: AbortSignal,
): Promise<ArchiveContents | undefined> {
  const json = await readJson(files, 'manifest.json', maxConfigBytes)
  if (json === undefined) return undefined
  const parsed = savedImages.safeParse(json)
  if (!parsed.success) throw new ArchiveError('Cannot read archive: its manifest.json is none of docker save')
  const manifests = new Map<Digest, Buffer>()
  const blobs = new Map<Digest, string>()
  const known = new Map<string, Layer>()

  async function layerOf(name: string): Promise<Layer> {
    const layer = known.get(name) ?? (await readLayer(files, name, signal))
    known.set(name, layer)
    blobs.set(layer.digest, name)
    return layer
  }

  const images: ArchiveImage[] = []
  for (const { Config: config, RepoTags: names, Layers: layerNames } of parsed.data) {
    const bytes = await readSmall(files, config, maxConfigBytes)
    if (bytes === undefined)
      throw new ArchiveError(`Cannot read archive: it has no "${config.slice(0, 200)}"`)
    const digest = configDigest(config, bytes)
    const layers: Layer[] = []
    for (const name of layerNames) layers.push(await layerOf(name))
    checkDiffIds(config, bytes, layers)
    blobs.set(digest, config)
    const manifest = manifestOf({ mediaType: configType, digest, size: bytes.length }, layers)
    const root = { mediaType: mediaTypes.dockerManifest, digest: digestOf(manifest), size: manifest.length }
    manifests.set(root.digest, manifest)
    images.push({ names: names ?? [], root })
  }
  const nameOf = (digest: Digest) => blobs.get(digest) ?? ''
  return {
    format: 'docker-archive',
    images,
    manifest: digest => Promise.resolve(manifests.get(digest)),
    blobSize: digest => files.size(nameOf(digest)),
    openBlob: digest => files.open(nameOf(digest)),
  }
}

function manifestOf(config: object, layers: readonly Layer[]): Buffer {
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.dockerManifest,
    config,
    layers: layers.map(({ mediaType, size, digest }) => ({ mediaType, size, digest })),
  }
  return Buffer.from(JSON.stringify(manifest))
}

/** The file is called by its digest, in one way or another, or has a name that says nothing. */
function configDigest(name: string, bytes: Buffer): Digest {
  const digest = digestOf(bytes)
  const [, hex] = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(name) ?? []
  if (hex !== undefined && digest !== `sha256:${hex}`)
    throw new ArchiveError(`Cannot read archive: "${name}" has the digest ${digest}`)
  return digest
}

function checkDiffIds(config: string, bytes: Buffer, layers: readonly Layer[]): void {
  let json: unknown
  try {
    json = JSON.parse(bytes.toString())
  } catch {
    // said below
  }
  const parsed = configDocument.safeParse(json)
  if (!parsed.success)
    throw new ArchiveError(`Cannot read archive: "${config}" is no configuration of an image`)
  const expected = parsed.data.rootfs.diff_ids
  const isSame =
    expected.length === layers.length &&
    layers.every(({ diffId }, at) => !isDigest(expected[at] ?? '') || expected[at] === diffId)
  if (!isSame) throw new ArchiveError(`Cannot read archive: its layers are not those that "${config}" names`)
}

async function readLayer(files: ArchiveFiles, name: string, signal?: AbortSignal): Promise<Layer> {
  const size = await files.size(name)
  if (size === undefined) throw new ArchiveError(`Cannot read archive: it has no "${name.slice(0, 200)}"`)
  const isGzip = await beginsAsGzip(await files.open(name))
  const digest = await hashOf(await files.open(name), signal)
  if (!isGzip) return { mediaType: layerType, digest, size, diffId: digest }
  const diffId = await unpackedHash(await files.open(name), signal)
  return { mediaType: `${layerType}.gzip`, digest, size, diffId }
}

async function beginsAsGzip(content: Readable): Promise<boolean> {
  for await (const chunk of content) return (chunk as Buffer)[0] === 0x1f && (chunk as Buffer)[1] === 0x8b
  return false
}

async function hashOf(content: AsyncIterable<unknown>, signal?: AbortSignal): Promise<Digest> {
  const hasher = new Hasher()
  for await (const chunk of content) {
    signal?.throwIfAborted()
    hasher.update(chunk as Buffer)
  }
  return hasher.digest()
}

async function unpackedHash(content: Readable, signal?: AbortSignal): Promise<Digest> {
  const gunzip = createGunzip()
  content.on('error', err => gunzip.destroy(err))
  try {
    return await hashOf(content.pipe(gunzip), signal)
  } finally {
    content.destroy()
  }
}
