// All content that the model tests push: a few blobs and manifests that everybody shares, so that random clients meet.
// Each manifest is told apart by its number; what it needs and what it says about itself is written down beside it.
import { createHash } from 'node:crypto'
import { mediaTypes } from '../../lib/oci/media-types.ts'

export interface Content {
  readonly digest: string
  readonly bytes: Buffer
}

/** As the referrers API must describe it. */
export interface ReferrerDescriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export interface WorldManifest extends Content {
  readonly mediaType: string
  /** Digests that a repository must hold before it takes this one: blobs and manifests. */
  readonly blobs: readonly string[]
  readonly manifests: readonly string[]
  readonly subject: string | undefined
  /** What the subject's referrers say about this one. */
  readonly descriptor: ReferrerDescriptor
}

interface Description {
  readonly mediaType: string
  readonly artifactType?: string
  readonly config?: number
  readonly configType?: string
  readonly layers?: readonly number[]
  readonly manifests?: readonly WorldManifest[]
  readonly subject?: Content
  readonly annotations?: Readonly<Record<string, string>>
}

const imageConfig = 'application/vnd.oci.image.config.v1+json'
const emptyConfig = 'application/vnd.oci.empty.v1+json'

export const signatureType = 'application/vnd.example.signature'
const bomType = 'application/vnd.example.bom'

/** The first is the empty config of artifacts; the last is longer than a packet. */
export const blobs: readonly Content[] = [
  contentOf('{}'),
  contentOf('{"config":1}'),
  contentOf('layer 2'),
  contentOf('x'.repeat(70_000)),
]

const image = mediaTypes.ociManifest
const index = mediaTypes.ociIndex
const plain = manifestOf({ mediaType: image, config: 1, layers: [2] })
const large = manifestOf({ mediaType: image, config: 1, layers: [2, 3] })
const bare = manifestOf({ mediaType: image, config: 1, layers: [] })
const signature = manifestOf({
  mediaType: image,
  artifactType: signatureType,
  config: 0,
  configType: emptyConfig,
  layers: [2],
  subject: plain,
  annotations: { 'org.example.signed-by': 'somebody' },
})
const both = manifestOf({ mediaType: index, manifests: [plain, large] })
const neverPushed = contentOf('a subject that nobody ever pushes')

export const manifests: readonly WorldManifest[] = [
  plain,
  large,
  bare,
  signature,
  both,
  manifestOf({ mediaType: image, artifactType: bomType, config: 0, configType: emptyConfig, subject: plain }),
  manifestOf({ mediaType: image, config: 1, layers: [3], subject: large }),
  manifestOf({ mediaType: index, artifactType: bomType, manifests: [bare], subject: plain }),
  manifestOf({
    mediaType: image,
    artifactType: signatureType,
    config: 0,
    configType: emptyConfig,
    subject: signature,
  }),
  manifestOf({
    mediaType: image,
    artifactType: bomType,
    config: 0,
    configType: emptyConfig,
    subject: neverPushed,
  }),
]

/** The last is the one under which clients of other registries keep a list of what refers to the first manifest. */
export const tags: readonly string[] = ['1.0', '1.1', 'latest', plain.digest.replace(':', '-')]

/** Every digest that something is, or may become, a referrer of; and one that never has any. */
export const subjects: readonly string[] = [
  ...new Set(manifests.flatMap(({ subject }) => (subject === undefined ? [] : [subject]))),
  bare.digest,
]

export function contentOf(content: string | Buffer): Content {
  const bytes = Buffer.from(content)
  return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes }
}

/** Looks up one of the fixed items above by its number. */
export function at<T>(items: readonly T[], number: number): T {
  const item = items[number]
  if (item === undefined) throw new RangeError(`no item ${number} among ${items.length}`)
  return item
}

function manifestOf(description: Description): WorldManifest {
  const { mediaType, artifactType, config, manifests = [], subject, annotations } = description
  const layers = (description.layers ?? []).map(number => at(blobs, number))
  const configBlob = config === undefined ? undefined : at(blobs, config)
  const configType = description.configType ?? imageConfig
  const content = contentOf(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      artifactType,
      ...(configBlob === undefined
        ? { manifests: manifests.map(one => pointerTo(one, one.mediaType)) }
        : {
            config: pointerTo(configBlob, configType),
            layers: layers.map(one => pointerTo(one, 'application/vnd.oci.image.layer.v1.tar')),
          }),
      ...(subject !== undefined && { subject: pointerTo(subject, image) }),
      annotations,
    }),
  )
  const shownType = artifactType ?? (configBlob === undefined ? undefined : configType)
  return {
    ...content,
    mediaType,
    blobs: configBlob === undefined ? [] : [configBlob, ...layers].map(({ digest }) => digest),
    manifests: manifests.map(({ digest }) => digest),
    subject: subject?.digest,
    descriptor: {
      ...pointerTo(content, mediaType),
      ...(shownType !== undefined && { artifactType: shownType }),
      ...(annotations !== undefined && { annotations }),
    },
  }
}

function pointerTo({ digest, bytes }: Content, mediaType: string) {
  return { mediaType, digest, size: bytes.length }
}
