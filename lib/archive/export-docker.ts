// Writes the image of one platform as `docker save` does, for `docker load`: layers without gzip, called by the digest
// that they then have. Source: Docker Image Specification v1.2, "Combined Image JSON".
import { createGunzip } from 'node:zlib'
import { Readable } from 'node:stream'
import * as z from 'zod'
import type { CallOptions, ManifestEntry } from '../oci/descriptor.ts'
import { Hasher, hexOf, type Digest } from '../oci/digest.ts'
import { parseManifest, type Manifest } from '../oci/manifest.ts'
import type { Repository } from '../registry/registry.ts'
import { addText } from './export-oci.ts'
import { ArchiveError } from './files.ts'
import type { TarWriter } from './tar-writer.ts'
import { contentOf } from './verified.ts'

const configDocument = z.object({ rootfs: z.object({ diff_ids: z.array(z.string()) }) })
const maxConfigBytes = 8 * 1024 * 1024

/** `manifest` is of an image, not of an index. ArchiveError where Docker has no use for it. */
export async function exportDocker(
  tar: TarWriter,
  repository: Repository,
  manifest: Manifest,
  { name, ...options }: CallOptions & { readonly name?: string | undefined } = {},
): Promise<void> {
  const [config, ...layers] = parseManifest(manifest.bytes).blobs
  if (config === undefined || config.size > maxConfigBytes) throw notAnImage(manifest)
  const configBytes = await readAll(contentOf(repository, config.digest, { kind: 'blob' }, options))
  const diffIds = diffIdsIn(configBytes)
  if (diffIds?.length !== layers.length) throw notAnImage(manifest)
  const names: string[] = []
  const written = new Set<string>()
  for (const [at, layer] of layers.entries()) {
    const { size, digest } = await measure(repository, layer, options)
    const expected = diffIds[at]
    if (!isOpaque(layer) && expected !== digest)
      throw new ArchiveError(
        `Cannot export layer ${layer.digest}: has ${digest} unpacked, not ${expected ?? ''}`,
      )
    const fileName = `${hexOf(digest)}.tar`
    names.push(fileName)
    if (written.has(fileName)) continue
    written.add(fileName)
    await tar.add(fileName, size, unpacked(repository, layer, options))
  }
  const configName = `${hexOf(config.digest)}.json`
  await tar.add(configName, configBytes.length, Readable.from([configBytes]) as AsyncIterable<Uint8Array>)
  const saved = { Config: configName, RepoTags: name === undefined ? [] : [name], Layers: names }
  await addText(tar, 'manifest.json', JSON.stringify([saved]))
}

/** A tar says the size of a file before its content, so that a layer is read twice. */
async function measure(
  repository: Repository,
  layer: ManifestEntry,
  options: CallOptions,
): Promise<{ readonly size: number; readonly digest: Digest }> {
  const hasher = new Hasher()
  for await (const chunk of unpacked(repository, layer, options)) hasher.update(chunk)
  return { size: hasher.bytesHashed, digest: hasher.digest() }
}

async function* unpacked(
  repository: Repository,
  { mediaType, digest }: ManifestEntry,
  options: CallOptions,
): AsyncGenerator<Uint8Array> {
  const content = contentOf(repository, digest, { kind: 'blob' }, options)
  if (!mediaType.endsWith('gzip')) {
    yield* content
    return
  }
  const source = Readable.from(content)
  const gunzip = createGunzip()
  source.on('error', err => gunzip.destroy(err))
  try {
    yield* source.pipe(gunzip) as AsyncIterable<Uint8Array>
  } finally {
    source.destroy()
    gunzip.destroy()
  }
}

/** Compressed in a way that Docker can undo and we cannot. */
function isOpaque({ mediaType }: ManifestEntry): boolean {
  return mediaType.endsWith('zstd')
}

function diffIdsIn(config: Buffer): readonly string[] | undefined {
  try {
    return configDocument.safeParse(JSON.parse(config.toString()) as unknown).data?.rootfs.diff_ids
  } catch {
    return undefined
  }
}

async function readAll(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function notAnImage({ descriptor }: Manifest): ArchiveError {
  return new ArchiveError(`Cannot export ${descriptor.digest} for Docker: it is no image of containers`)
}
