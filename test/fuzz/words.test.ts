// The words of the protocol, as paths carry them, and the paths themselves.
import assert from 'node:assert/strict'
import t from 'tap'
import type { Endpoint, HttpMethod, Params } from '../../lib/http/endpoint.ts'
import { createRouter } from '../../lib/http/router.ts'
import { parseDigest } from '../../lib/oci/digest.ts'
import { formatReference, parseReference } from '../../lib/oci/reference.ts'
import { isRepositoryName, parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { parseUploadId } from '../../lib/oci/upload-id.ts'
import { noDescription } from '../support/no-description.ts'
import { fuzz } from '../support/random-inputs.ts'

const sha256 = `sha256:${'0123456789abcdef'.repeat(4)}`
const sha512 = `sha512:${'0123456789abcdef'.repeat(8)}`
const id = '0190f3a5-7b1c-4d2e-8f3a-1b2c3d4e5f60'
const names = ['a', 'library/nginx', 'a/b/c/d', 'registry.example.com/a', 'a--b/c__d.e', 'a'.repeat(255)]
const tags = ['latest', 'v1.2.3', '_', 'a'.repeat(128), 'manifests', 'uploads']

fuzz(t, 'parseRepositoryName()', {
  make: random => random.text(names),
  call(text) {
    const name = parseRepositoryName(text)

    assert.equal(name, text)
    assert.match(name, /^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,254}$/)
    for (const part of name.split('/')) assert.match(part, /^[a-zA-Z0-9](?:.*[a-zA-Z0-9])?$/)
  },
})

fuzz(t, 'parseDigest()', {
  make: random => random.text([sha256, sha512, 'md5:d41d8cd98f00b204e9800998ecf8427e', 'a+b.c:x=']),
  call: text => assert.match(parseDigest(text), /^sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})$/),
})

fuzz(t, 'parseReference()', {
  make: random => random.text([...tags, sha256, sha512]),
  call(text) {
    const reference = parseReference(text)

    assert.equal(formatReference(reference), text)
    assert.match(text, /^\w[\w.:-]*$/)
  },
})

fuzz(t, 'parseUploadId()', {
  make: random => random.text([id]),
  call: text => assert.match(parseUploadId(text), /^[0-9a-f-]{36}$/),
})

/** Every pattern there is; a handler tells what it was given. */
function endpoint(method: HttpMethod, path: string): Endpoint {
  const isOfRepository = (text: string): text is `/v2/*name/${string}` => text.startsWith('/v2/*name/')
  const handle = async () => {}
  return isOfRepository(path)
    ? {
        name: path,
        method,
        path,
        describe: noDescription,
        access: (_ctx, params) => (seen.push(params), []),
        handle,
      }
    : { name: path, method, path, describe: noDescription, access: () => 'public', handle }
}

const seen: Params[] = []
const router = createRouter(
  [
    endpoint('GET', '/'),
    endpoint('GET', '/v2/'),
    endpoint('GET', '/v2/_catalog'),
    endpoint('GET', '/v2/*name/tags/list'),
    endpoint('GET', '/v2/*name/referrers/:digest'),
    endpoint('PUT', '/v2/*name/manifests/:reference'),
    endpoint('GET', '/v2/*name/blobs/:digest'),
    endpoint('POST', '/v2/*name/blobs/uploads/'),
    endpoint('PATCH', '/v2/*name/blobs/uploads/:id'),
  ],
  '',
)
const paths = names.flatMap(name => [
  `/v2/${name}/tags/list`,
  `/v2/${name}/manifests/latest`,
  `/v2/${encodeURIComponent(name)}/manifests/${encodeURIComponent(sha256)}`,
  `/v2/${name}/blobs/${sha256}`,
  `/v2/${name}/referrers/${sha256}`,
  `/v2/${name}/blobs/uploads/`,
  `/v2/${name}/blobs/uploads/${id}`,
])

fuzz(t, 'Router.match()', {
  make: random => ({
    method: random.pick(['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'BREW']),
    path: random.text([...paths, '/', '/v2/', '/v2/_catalog']),
  }),
  call({ method, path }) {
    const match = router.match(method, path)

    if (match.kind === 'refused') return assert.ok(match.refuse().status < 500)
    seen.length = 0
    // No access of these endpoints looks at its context.
    match.access({} as Parameters<typeof match.access>[0])
    for (const { name, argument } of seen) {
      assert.ok(isRepositoryName(name))
      assert.ok(!argument.includes('/'))
      assert.equal(argument === '', /tags\/list|uploads\/$/.test(match.name))
    }
  },
})
