import t from 'tap'
import {
  essence,
  isIndexMediaType,
  isManifestType,
  isNonDistributable,
  manifestMediaTypes,
  mediaTypes,
} from '../../lib/oci/media-types.ts'

t.test('isIndexMediaType() knows the index of OCI and the list of Docker, and nothing else', async t => {
  const indexes = Object.values(mediaTypes).filter(mediaType => isIndexMediaType(mediaType))

  t.same(indexes, [mediaTypes.ociIndex, mediaTypes.dockerManifestList])
  t.equal(isIndexMediaType(''), false)
})

t.test('isNonDistributable() knows foreign layers in both dresses', async t => {
  const cases: readonly (readonly [mediaType: string, expected: boolean])[] = [
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', true],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar', true],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', true],
    ['application/vnd.oci.image.layer.v1.tar+gzip', false],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', false],
    ['application/octet-stream', false],
  ]
  for (const [mediaType, expected] of cases) t.equal(isNonDistributable(mediaType), expected, mediaType)
})

t.test('essence() drops parameters, blanks and case', async t => {
  const cases: readonly (readonly [header: string | undefined, expected: string])[] = [
    [undefined, ''],
    ['', ''],
    [';', ''],
    ['application/json; charset=utf-8', 'application/json'],
    [' Application/JSON ;q=1', 'application/json'],
    [mediaTypes.ociManifest, mediaTypes.ociManifest],
  ]
  for (const [header, expected] of cases) t.equal(essence(header), expected, JSON.stringify(header))
})

t.test('manifestMediaTypes asks for every manifest form, indexes first', async t => {
  t.same(new Set(manifestMediaTypes).size, 4)
  t.ok(isIndexMediaType(manifestMediaTypes[0] ?? ''))
})

t.test('isManifestType() takes JSON for programs, and nothing that a browser acts upon', async t => {
  const cases: readonly (readonly [mediaType: string, expected: boolean])[] = [
    ...manifestMediaTypes.map(mediaType => [mediaType, true] as const),
    ['application/vnd.oci.artifact.manifest.v1+json', true],
    ['application/vnd.example.config', true],
    ['application/json', true],
    ['application/vnd.example.xml.v1+json', true],
    ['', false],
    ['application/', false],
    ['application', false],
    ['text/html', false],
    ['text/plain', false],
    ['image/svg+xml', false],
    ['application/xml', false],
    ['application/xhtml+xml', false],
    ['application/javascript', false],
    ['application/ecmascript', false],
    ['application/pdf', false],
    ['application/a;charset=utf-8', false],
    ['application/a b', false],
    ['application/a\n', false],
    [`application/${'a'.repeat(200)}`, false],
  ]
  for (const [mediaType, expected] of cases) t.equal(isManifestType(mediaType), expected, mediaType)
})
