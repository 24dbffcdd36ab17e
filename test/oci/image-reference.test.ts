import t from 'tap'
import { RegistryError } from '../../lib/oci/errors.ts'
import { formatImageReference, parseImageReference, referenceOf } from '../../lib/oci/image-reference.ts'

const digest = `sha256:${'ab'.repeat(32)}`

t.test('parseImageReference() rejects what is no reference', async t => {
  const cases: readonly (readonly [string, string])[] = [
    ['', 'NAME_INVALID'],
    ['Nginx', 'NAME_INVALID'],
    ['nginx:', 'TAG_INVALID'],
    [':1.27', 'NAME_INVALID'],
    ['nginx:.bad', 'TAG_INVALID'],
    ['nginx:1:2', 'TAG_INVALID'],
    ['nginx@', 'DIGEST_INVALID'],
    ['nginx@sha256:abc', 'DIGEST_INVALID'],
    [`nginx@${digest}@${digest}`, 'DIGEST_INVALID'],
    ['ghcr.io/', 'NAME_INVALID'],
    ['/nginx', 'NAME_INVALID'],
    ['.io/nginx', 'NAME_INVALID'],
    ['a:b/nginx', 'NAME_INVALID'],
    ['user@ghcr.io/nginx', 'DIGEST_INVALID'],
    ['docker://nginx', 'NAME_INVALID'],
    ['nginx\n', 'NAME_INVALID'],
    [`ghcr.io/${'a'.repeat(1100)}`, 'NAME_INVALID'],
  ]
  for (const [text, code] of cases) {
    t.throws(() => parseImageReference(text), { code }, JSON.stringify(text))
    t.throws(() => parseImageReference(text), RegistryError)
  }
})

t.test('parseImageReference() finds host, repository, tag and digest', async t => {
  const cases: readonly (readonly [string, string | undefined, string, string | undefined, string?])[] = [
    ['nginx', undefined, 'nginx', 'latest'],
    ['nginx:1.27', undefined, 'nginx', '1.27'],
    ['nginx:5000', undefined, 'nginx', '5000'],
    ['team/app', undefined, 'team/app', 'latest'],
    ['a.b', undefined, 'a.b', 'latest'],
    ['docker.io/library/nginx:1.27', 'docker.io', 'library/nginx', '1.27'],
    ['Docker.IO/library/nginx', 'docker.io', 'library/nginx', 'latest'],
    ['localhost/app', 'localhost', 'app', 'latest'],
    ['localhost:5000/app:x', 'localhost:5000', 'app', 'x'],
    ['registry:5000/team/app', 'registry:5000', 'team/app', 'latest'],
    ['[::1]:5000/app', '[::1]:5000', 'app', 'latest'],
    [`ghcr.io/a/b@${digest}`, 'ghcr.io', 'a/b', undefined, digest],
    [`ghcr.io/a/b:v1@${digest}`, 'ghcr.io', 'a/b', 'v1', digest],
  ]
  for (const [text, host, repository, tag, wantedDigest] of cases) {
    const image = parseImageReference(text)

    t.same(image, { host, repository, tag, digest: wantedDigest }, text)
    t.same(parseImageReference(formatImageReference(image)), image, `${text} again`)
  }
})

t.test('referenceOf() is the digest where there is one, else the tag', async t => {
  t.same(referenceOf(parseImageReference(`a:v1@${digest}`)), { kind: 'digest', digest })
  t.same(referenceOf(parseImageReference('a:v1')), { kind: 'tag', tag: 'v1' })
})
