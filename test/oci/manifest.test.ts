import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseManifest } from '../../lib/oci/manifest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'

const digest = digestOf(Buffer.from('{}'))
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest, size: 2 }
const layer = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest: digestOf(Buffer.from('layer')),
  size: 5,
}
const image = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] }
const child = { mediaType: mediaTypes.ociManifest, digest: digestOf(Buffer.from('child')), size: 5 }
const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [child] }

function json(document: unknown): Buffer {
  return Buffer.from(JSON.stringify(document))
}

t.test('parseManifest() rejects what is not a manifest', async t => {
  const cases: readonly (readonly [
    bytes: Buffer,
    contentType: string | undefined,
    detail: RegExp,
    why: string,
  ])[] = [
    [Buffer.of(), undefined, /not valid JSON/, 'nothing'],
    [Buffer.from('{"schemaVersion":2'), undefined, /not valid JSON/, 'cut off'],
    [Buffer.from([0x7b, 0xff, 0x7d]), undefined, /not valid JSON/, 'not UTF-8'],
    [json(null), undefined, /manifest: /, 'null'],
    [json([image]), undefined, /manifest: /, 'a list'],
    [json({}), undefined, /schemaVersion/, 'no schemaVersion'],
    [json({ ...image, schemaVersion: 1 }), undefined, /schemaVersion/, 'schema 1'],
    [json({ ...image, schemaVersion: '2' }), undefined, /schemaVersion/, 'schemaVersion as text'],
    [json({ ...image, config: 'x' }), undefined, /config/, 'config is no descriptor'],
    [json({ ...image, layers: {} }), undefined, /layers/, 'layers is no list'],
    [
      json({ ...image, layers: [{ ...layer, digest: 'sha256:abc' }] }),
      undefined,
      /layers\.0\.digest/,
      'bad digest',
    ],
    [
      json({ ...image, layers: [{ ...layer, digest: undefined }] }),
      undefined,
      /layers\.0\.digest/,
      'no digest',
    ],
    [json({ ...image, layers: [{ ...layer, size: -1 }] }), undefined, /layers\.0\.size/, 'negative size'],
    [json({ ...image, layers: [{ ...layer, size: 1.5 }] }), undefined, /layers\.0\.size/, 'half a byte'],
    [json({ ...image, subject: {} }), undefined, /subject/, 'subject is no descriptor'],
    [json({ ...image, annotations: { a: 1 } }), undefined, /annotations/, 'annotation is no text'],
    [json(image), mediaTypes.dockerManifest, /does not match/, 'pushed under another media type'],
    [json(index), mediaTypes.ociManifest, /does not match/, 'an index pushed as a manifest'],
    [
      json({ ...image, manifests: [child] }),
      undefined,
      /expected manifest but found index/,
      'both shapes, manifest',
    ],
    [
      json({ ...index, layers: [layer] }),
      undefined,
      /expected index but found manifest/,
      'both shapes, index',
    ],
    [json({ ...index, config }), undefined, /expected index but found manifest/, 'an index with a config'],
    [
      json({ schemaVersion: 2, manifests: [child] }),
      mediaTypes.ociManifest,
      /expected manifest but found index/,
      'untyped index pushed as a manifest',
    ],
    [
      json({ ...image, mediaType: 'text/html' }),
      undefined,
      /unsupported manifest media type: "text\/html"/,
      'HTML',
    ],
    [json({ ...image, mediaType: 'text/html' }), 'text/html', /unsupported/, 'HTML, announced'],
    [json({ mediaType: 'application/xhtml+xml' }), undefined, /unsupported/, 'XHTML'],
    [json({ mediaType: 'application/javascript' }), undefined, /unsupported/, 'a script'],
    [json({ mediaType: 'application/a/b' }), undefined, /unsupported/, 'no media type'],
    [json({ mediaType: 'application/a\r\nX: y' }), undefined, /unsupported/, 'a header of its own'],
    [
      json({ a: 1 }),
      'application/vnd.example',
      /must name its type itself/,
      'a type that only Content-Type tells',
    ],
    [json({ mediaType: 'application/a' }), 'application/b', /does not match/, 'unknown, and another one'],
    [json(['application/a']), 'application/a', /not a JSON object/, 'a list of an unknown type'],
  ]
  for (const [bytes, contentType, detail, why] of cases) {
    t.throws(
      () => parseManifest(bytes, contentType),
      { name: 'RegistryError', code: 'MANIFEST_INVALID', detail },
      why,
    )
  }
})

t.test('parseManifest() lists config first, then layers, and no manifests', async t => {
  const content = parseManifest(json(image), mediaTypes.ociManifest)

  t.match(content, {
    mediaType: mediaTypes.ociManifest,
    blobs: [config, layer],
    manifests: [],
    subject: undefined,
  })
  t.equal(content.blobs.length, 2)
})

t.test('parseManifest() lists the manifests of an index, and no blobs', async t => {
  const platform = { architecture: 'arm', os: 'linux', variant: 'v7', 'os.version': '1' }

  const content = parseManifest(json({ ...index, manifests: [child, { ...child, platform }] }))

  t.same(content.blobs, [])
  t.equal(content.manifests[0]?.platform, undefined)
  t.same(content.manifests[1]?.platform, { architecture: 'arm', os: 'linux', variant: 'v7' })
})

t.test(
  'parseManifest() decides the media type by Content-Type, then by mediaType, then by shape',
  async t => {
    const untyped = { schemaVersion: 2 }
    const cases: readonly (readonly [document: object, contentType: string | undefined, expected: string])[] =
      [
        [{ ...untyped, config, layers: [] }, undefined, mediaTypes.ociManifest],
        [{ ...untyped, manifests: [] }, undefined, mediaTypes.ociIndex],
        [{ ...untyped, manifests: [child] }, undefined, mediaTypes.ociIndex],
        [{ ...untyped, config, layers: [], mediaType: '' }, undefined, mediaTypes.ociManifest],
        [{ ...untyped, config, layers: [], mediaType: '' }, mediaTypes.ociManifest, mediaTypes.ociManifest],
        [
          { ...untyped, mediaType: mediaTypes.dockerManifestList, manifests: [] },
          undefined,
          mediaTypes.dockerManifestList,
        ],
        [
          { ...untyped, config, layers: [] },
          `${mediaTypes.dockerManifest}; charset=utf-8`,
          mediaTypes.dockerManifest,
        ],
        [
          { ...untyped, mediaType: 'application/vnd.example+json' },
          undefined,
          'application/vnd.example+json',
        ],
      ]
    for (const [document, contentType, expected] of cases) {
      t.equal(parseManifest(json(document), contentType).mediaType, expected, JSON.stringify(document))
    }
  },
)

t.test('parseManifest() reads the members that Go writes as null as absent', async t => {
  const nulls = { layers: null, manifests: null, subject: null, annotations: null }

  const content = parseManifest(
    json({ ...image, ...nulls, config: { ...config, urls: null, annotations: null } }),
  )

  t.match(content, { blobs: [config], manifests: [], subject: undefined, annotations: undefined })
  t.equal(content.blobs[0]?.urls, undefined)
})

t.test(
  'parseManifest() takes the artifact type of a manifest from its config if it has none of its own',
  async t => {
    t.equal(parseManifest(json({ ...image, artifactType: 'application/a' })).artifactType, 'application/a')
    t.equal(parseManifest(json(image)).artifactType, config.mediaType)
    t.equal(parseManifest(json({ ...image, artifactType: '' })).artifactType, config.mediaType)
    t.equal(parseManifest(json({ ...index, artifactType: 'application/a' })).artifactType, 'application/a')
    t.equal(parseManifest(json({ ...index, artifactType: '' })).artifactType, undefined)
    t.equal(parseManifest(json(index)).artifactType, undefined)
  },
)

t.test('parseManifest() keeps subject, annotations and the urls of foreign layers', async t => {
  const urls = ['https://example.org/layer']
  const subject = { ...child, annotations: { a: 'b' } }

  const content = parseManifest(
    json({ ...image, subject, annotations: { k: 'v' }, layers: [{ ...layer, urls }] }),
  )

  t.match(content.subject, child)
  t.same(content.annotations, { k: 'v' })
  t.same(content.blobs[1]?.urls, urls)
})

t.test('parseManifest() does not trip over members that objects inherit', async t => {
  const bytes = Buffer.from(
    `{"schemaVersion":2,"__proto__":{"layers":[1]},"annotations":{"__proto__":"x","toString":"y"}}`,
  )

  const content = parseManifest(bytes)

  t.same(content.blobs, [])
  t.equal(({} as Record<string, unknown>)['layers'], undefined)
})

t.test('parseManifest() reads every manifest in fixtures', async t => {
  const samples: readonly (readonly [file: string, mediaType: string, blobs: number, manifests: number])[] = [
    ['oci-manifest.json', mediaTypes.ociManifest, 2, 0],
    ['oci-index.json', mediaTypes.ociIndex, 0, 2],
    ['docker-schema2.json', mediaTypes.dockerManifest, 2, 0],
    ['docker-list.json', mediaTypes.dockerManifestList, 0, 2],
    ['oci-artifact.json', mediaTypes.ociManifest, 2, 0],
  ]
  for (const [file, mediaType, blobs, manifests] of samples) {
    const content = parseManifest(readFileSync(new URL(`../../fixtures/manifests/${file}`, import.meta.url)))
    t.equal(content.mediaType, mediaType, file)
    t.equal(content.blobs.length, blobs, file)
    t.equal(content.manifests.length, manifests, file)
  }
})

t.test('parseManifest() either reads or refuses with MANIFEST_INVALID, for any JSON', async t => {
  const member = fc.oneof(
    fc.jsonValue(),
    fc.constant([layer]),
    fc.constant(config),
    fc.constant(mediaTypes.ociIndex),
  )
  const key = fc.constantFrom(
    'mediaType',
    'config',
    'layers',
    'manifests',
    'subject',
    'annotations',
    'artifactType',
  )
  const document = fc.dictionary(key, member).map(members => ({ schemaVersion: 2, ...members }))
  const property = fc.property(document, fc.option(fc.string()), (members, contentType) => {
    try {
      parseManifest(json(members), contentType ?? undefined)
      return true
    } catch (error) {
      return (error as { code?: unknown }).code === 'MANIFEST_INVALID'
    }
  })

  t.doesNotThrow(() => fc.assert(property, { numRuns: 500 }))
})

t.test('parseManifest() reads of a manifest of an unknown type what it understands', async t => {
  const { urls, ...rest } = { ...layer, urls: 5 }
  const content = parseManifest(
    json({
      mediaType: 'application/vnd.oci.artifact.manifest.v1+json',
      artifactType: 'application/vnd.example.sbom',
      config: { ...config, annotations: [] },
      layers: { digest: 'sha256:abc' },
      blobs: [rest, 'text', null, { digest, size: -1 }, { digest, size: 2 }],
      manifests: [child],
      subject: { ...child, urls },
      annotations: { a: 'b' },
    }),
  )

  t.same(content, {
    mediaType: 'application/vnd.oci.artifact.manifest.v1+json',
    isKnownType: false,
    blobs: [config, layer, { mediaType: mediaTypes.octetStream, digest, size: 2 }],
    manifests: [child],
    subject: child,
    artifactType: 'application/vnd.example.sbom',
    annotations: { a: 'b' },
  })
})

t.test('parseManifest() asks nothing of a manifest of an unknown type but to name it', async t => {
  for (const mediaType of ['application/vnd.example.v1+json', 'application/json', 'application/x']) {
    const content = parseManifest(
      json({ mediaType, subject: 1, annotations: { a: 1 }, artifactType: '' }),
      mediaType,
    )

    t.match(content, { mediaType, isKnownType: false, blobs: [], manifests: [], subject: undefined })
    t.equal(content.annotations, undefined)
    t.equal(content.artifactType, undefined)
  }
})
