import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseManifest } from '../../lib/oci/manifest.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import type { ValidationConfig } from '../../lib/config/config.ts'
import { createManifestRules, noManifestRules } from '../../lib/registry/manifest-rules.ts'
import { json } from './suite/content.ts'

const { dockerForeignLayer, dockerManifest, ociIndex, ociManifest } = mediaTypes
const ociForeignLayer = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'
const digest = digestOf(Buffer.from('layer'))
const at = 'https://layers.example/a'
const notAllowed = { code: 'MANIFEST_INVALID', detail: /^invalid URL on layer sha256:/ }

function rulesOf(
  urls: Partial<ValidationConfig['manifests']['urls']> = {},
  indexes: Partial<ValidationConfig['manifests']['indexes']> = {},
  disabled = false,
) {
  return createManifestRules({
    disabled,
    manifests: {
      urls: { allow: [], deny: [], ...urls },
      indexes: { platforms: 'all', platformlist: [], ...indexes },
    },
  })
}

function imageWith(layerType: string, urls?: readonly string[], mediaType: string = ociManifest) {
  return parseManifest(
    json({ schemaVersion: 2, mediaType, layers: [{ mediaType: layerType, digest, size: 5, urls }] }),
  )
}

t.test('ManifestRules.check() refuses URLs of layers that are not allowed', async t => {
  const cases: readonly (readonly [
    what: string,
    urls: Partial<ValidationConfig['manifests']['urls']>,
    url: string,
    isAllowed: boolean,
  ])[] = [
    ['everything is allowed by default', {}, at, true],
    ['allowed', { allow: ['^https://layers\\.example/'] }, at, true],
    ['not among the allowed', { allow: ['^https://other/'] }, at, false],
    ['the second that is allowed', { allow: ['^https://other/', 'layers'] }, at, true],
    ['denied although allowed', { allow: ['^https://'], deny: ['/a$'] }, at, false],
    ['not denied, with nothing allowed by name', { deny: ['/b$'] }, at, true],
    ['denied, with nothing allowed by name', { deny: ['/a$'] }, at, false],
    ['another scheme', { allow: [''] }, 'ftp://layers.example/a', false],
    ['a fragment', { allow: [''] }, `${at}#b`, false],
    ['no URL', { allow: [''] }, 'layers', false],
  ]
  for (const [what, urls, url, isAllowed] of cases) {
    for (const layerType of [
      ociForeignLayer,
      dockerForeignLayer,
      'application/vnd.oci.image.layer.v1.tar+gzip',
    ]) {
      const check = () => rulesOf(urls).check(imageWith(layerType, [url]))
      if (isAllowed) t.doesNotThrow(check, what)
      else t.throws(check, notAllowed, what)
    }
  }
})

t.test('ManifestRules.check() looks at every URL', async t => {
  t.throws(
    () => rulesOf({ deny: ['b$'] }).check(imageWith(ociForeignLayer, [at, 'https://layers.example/b'])),
    notAllowed,
  )
})

t.test('ManifestRules.check() wants a URL of a foreign layer of Docker, and of no other', async t => {
  const missing = { code: 'MANIFEST_INVALID', detail: `missing URL on layer ${digest}` }

  t.throws(() => rulesOf().check(imageWith(dockerForeignLayer, undefined, dockerManifest)), missing)
  t.doesNotThrow(() => rulesOf().check(imageWith(ociForeignLayer)))
  t.doesNotThrow(() => rulesOf().check(imageWith('application/octet-stream', ['anything'])))
})

t.test('ManifestRules.check() allows every http URL where validation is disabled', async t => {
  const rules = rulesOf({}, {}, true)

  t.doesNotThrow(() => rules.check(imageWith(ociForeignLayer, [at])))
  t.throws(() => rules.check(imageWith(ociForeignLayer, ['file:///etc/passwd'])), notAllowed)
  t.doesNotThrow(() => noManifestRules.check(imageWith(ociForeignLayer, ['anything'])))
})

t.test('ManifestRules.check() keeps the children that must exist', async t => {
  const children = ['amd64', 'arm64', undefined].map(architecture => ({
    mediaType: ociManifest,
    digest: digestOf(Buffer.from(String(architecture))),
    size: 5,
    ...(architecture !== undefined && { platform: { architecture, os: 'linux' } }),
  }))
  const index = parseManifest(json({ schemaVersion: 2, mediaType: ociIndex, manifests: children }))
  const kept = (indexes: Partial<ValidationConfig['manifests']['indexes']>, disabled = false) =>
    rulesOf({}, indexes, disabled)
      .check(index)
      .manifests.map(({ platform }) => platform?.architecture)
  const platformlist = [
    { architecture: 'amd64', os: 'linux' },
    { architecture: 'arm64', os: 'windows' },
  ]

  t.same(kept({}), ['amd64', 'arm64', undefined])
  t.same(kept({ platforms: 'none' }), [])
  t.same(kept({ platforms: 'list', platformlist }), ['amd64'])
  t.same(kept({ platforms: 'list' }), ['amd64', 'arm64', undefined], 'an empty list is none at all')
  t.same(kept({ platforms: 'all', platformlist }), ['amd64', 'arm64', undefined])
  t.same(kept({}, true), [])
})

t.test('ManifestRules.check() has nothing to say about unknown types', async t => {
  const content = parseManifest(
    json({
      mediaType: 'application/vnd.example',
      layers: [{ mediaType: dockerForeignLayer, digest, size: 5 }],
    }),
  )

  t.equal(rulesOf().check(content), content)
})

t.test('ManifestRules.check() takes only the classes that are listed, where some are', async t => {
  const image = 'application/vnd.oci.image.config.v1+json'
  const dockerImage = 'application/vnd.docker.container.image.v1+json'
  const plugin = 'application/vnd.docker.plugin.v1+json'
  const validation: ValidationConfig = {
    disabled: true,
    manifests: { urls: { allow: [], deny: [] }, indexes: { platforms: 'all', platformlist: [] } },
  }
  const check = (classes: readonly string[], content: ReturnType<typeof parseManifest>) => () =>
    createManifestRules(validation, classes).check(content)
  const withConfig = (mediaType: string, manifestType: string = ociManifest) =>
    parseManifest(
      json({ schemaVersion: 2, mediaType: manifestType, config: { mediaType, digest, size: 5 }, layers: [] }),
    )
  const denied = (detail: string) => ({ code: 'DENIED', detail })

  t.doesNotThrow(check(['image'], withConfig(image)))
  t.doesNotThrow(check(['image'], withConfig(dockerImage, dockerManifest)))
  t.doesNotThrow(check(['image', 'plugin'], withConfig(plugin, dockerManifest)))
  t.throws(check(['image'], withConfig(plugin)), denied('manifests of class plugin are not allowed'))
  t.throws(check(['plugin'], withConfig(image)), denied('manifests of class image are not allowed'))
  t.throws(check(['image'], withConfig('constructor')), denied('unknown manifest class for constructor'))
  t.throws(check(['image'], withConfig(image, 'application/vnd.example')), { code: 'DENIED' })
  t.doesNotThrow(check([], withConfig('application/vnd.example.config')))
  t.doesNotThrow(
    check(['image'], parseManifest(json({ schemaVersion: 2, mediaType: ociIndex, manifests: [] }))),
  )
})
