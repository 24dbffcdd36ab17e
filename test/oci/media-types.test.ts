import t from 'tap'
import {
  essence,
  isIndexMediaType,
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
