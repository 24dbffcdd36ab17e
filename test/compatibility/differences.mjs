// Every difference that is meant, with its reason. The first explanation that fits a difference counts; one that fits
// none has to go. `fits` is given the field that differs, both values, and both answers as a whole.

const codes = body => [...body.matchAll(/"code":"([A-Z_]+)"/g)].map(([, code]) => code).join()
const isError = answer => Number(answer.status) >= 400
const inBoth = ({ theirs, ours }) => theirs !== undefined && ours !== undefined
const sameStatus = difference => inBoth(difference) && difference.theirs.status === difference.ours.status
const between = (theirs, ours) => difference =>
  inBoth(difference) && difference.theirs.status === theirs && difference.ours.status === ours
const about = pattern => difference => pattern.test(difference.request)
const all =
  (...conditions) =>
  difference =>
    conditions.every(condition => condition(difference))
const any =
  (...conditions) =>
  difference =>
    conditions.some(condition => condition(difference))
const fieldIs =
  (...fields) =>
  difference =>
    fields.includes(difference.field)
const inOrder = challenge =>
  String(challenge)
    .replace('push,pull', 'pull,push')
    .replace(/scope="([^"]*)"/, (_, scopes) => `scope="${scopes.split(' ').toSorted().join(' ')}"`)
const isText = ({ theirs }) => String(theirs.headers['content-type'] ?? '').startsWith('text/')

export const explanations = [
  {
    what: 'names with `//` or `..`, and a slash too many or too few at the end',
    reference: '301, with a page in HTML',
    own: 'answered where they are, else 404',
    why: 'safety: what is asked for is what is meant',
    fits: difference => inBoth(difference) && difference.theirs.status === 301,
  },
  {
    what: '`/` and `/v2/` by another method',
    reference: '200',
    own: '405',
    why: 'spec',
    fits: all(between(200, 405), about(/^method: \w+ (base|root)$/)),
  },
  {
    what: 'OPTIONS of `/` and `/v2/`',
    reference: 'answered as GET is',
    own: '200 with `Allow`',
    why: 'RFC 9110, 9.3.7',
    fits: about(/^method: OPTIONS (base|root)$/),
  },
  {
    what: '`Docker-Distribution-Api-Version`, and `Content-Length` of HEAD, of `/`',
    reference: 'not there',
    own: 'there',
    why: 'clients',
    fits: all(fieldIs('docker-distribution-api-version', 'content-length'), about(/GET \/$|root/)),
  },
  {
    what: 'HEAD of tag lists, the catalog and manifests that `Accept` does not list',
    reference: '405, 404',
    own: 'as GET',
    why: 'clients',
    fits: about(/^method: HEAD (catalog|tags|manifest)$/),
  },
  {
    what: '`Allow`',
    reference: 'methods that the path takes by name alone',
    own: 'those that are answered there',
    why: 'RFC 9110, 10.2.1',
    fits: fieldIs('allow'),
  },
  {
    what: 'methods that an upload does not take',
    reference: '404, as the upload is unknown',
    own: '405, OPTIONS 200',
    why: 'spec: whether a method exists does not depend on the upload',
    fits: about(/^method: \w+ uploads?$/),
  },
  {
    what: 'an upload that does not exist, asked for without a state',
    reference: 'BLOB_UPLOAD_INVALID',
    own: 'BLOB_UPLOAD_UNKNOWN',
    why: 'spec',
    fits: all(sameStatus, about(/upload|chunk/), ({ ours }) => codes(ours.body) === 'BLOB_UPLOAD_UNKNOWN'),
  },
  {
    what: 'a chunk out of order, or of another length than it says',
    reference: '2.8.2: taken, and later requests fail with 404',
    own: '416, 400; the upload goes on',
    why: 'spec',
    fits: about(/^chunks: /),
  },
  {
    what: '`Content-Range` of a chunk that cannot be understood or does not fit',
    reference: '2.8.2: not looked at',
    own: '416',
    why: 'spec',
    fits: all(about(/^range .*: PATCH$/), between(202, 416)),
  },
  {
    what: '`Content-Type` of a chunk',
    reference: 'anything but `application/octet-stream` is 500',
    own: 'not looked at',
    why: 'spec',
    fits: all(about(/^other content type/), between(500, 202)),
  },
  {
    what: 'a blob in a single POST',
    reference: '202, the body is ignored',
    own: '201',
    why: 'spec',
    fits: all(about(/^single POST$/), between(202, 201)),
  },
  {
    what: 'conditions of blobs and manifests',
    reference: 'manifests: one tag, compared as text; 304 without headers',
    own: 'lists, weak tags, `*`, `If-Match`; 304 with `ETag` and digest; a tag without quotes is taken',
    why: 'RFC 9110; clients that leave out the quotes',
    fits: about(/If-(None-)?Match/),
  },
  {
    what: 'a range that is malformed',
    reference: '416',
    own: 'ignored: 200 with the whole blob',
    why: 'RFC 9110, 14.2 allows either',
    fits: all(about(/^blob: (bytes|items)/), ({ ours }) => ours.status === 200),
  },
  {
    what: 'a range with spaces, or that ends beyond what a number can say',
    reference: '416',
    own: '206',
    why: 'RFC 9110, 14.1.1',
    fits: about(/^blob: bytes( = 0-9|=0-9{9})/),
  },
  {
    what: 'a range beyond the end',
    reference: '2.8.2: the connection is cut',
    own: '416',
    why: 'RFC 9110, 15.5.17',
    fits: about(/^blob: bytes=100[01]-/),
  },
  {
    what: 'several ranges',
    reference: 'parts with a longer boundary',
    own: 'the same parts',
    why: 'the boundary is anybody’s choice',
    fits: all(about(/^blob: bytes=0-9,20-29$/), fieldIs('content-length')),
  },
  {
    what: 'an index with an empty list of layers, or a manifest with one of manifests',
    reference: '400',
    own: '201; only lists with something in them are refused',
    why: 'nothing is ambiguous',
    fits: about(/^refused: (layers in an index|manifests in a manifest)$/),
  },
  {
    what: 'ranges that overlap',
    reference: 'several parts',
    own: 'merged into one',
    why: 'RFC 9110, 15.3.7.2',
    fits: about(/^blob: bytes=0-9, 5-14$/),
  },
  {
    what: 'the last 0 bytes (`bytes=-0`)',
    reference: '206 with nothing',
    own: '416',
    why: 'RFC 9110, 14.1.2',
    fits: about(/^blob: bytes=-0$/),
  },
  {
    what: '`Range` of HEAD',
    reference: '206',
    own: 'ignored: 200',
    why: 'RFC 9110, 14.2',
    fits: about(/^blob: HEAD of a range$/),
  },
  {
    what: 'digests that are none',
    reference: '404 or 500',
    own: '400 DIGEST_INVALID',
    why: 'spec',
    fits: all(about(/digest too short|^blob: (sha256|SHA256)/), any(between(404, 400), between(500, 400))),
  },
  {
    what: 'manifests that are refused for what is in them',
    reference: '500 for some',
    own: '400',
    why: 'spec',
    fits: all(about(/^refused: /), between(500, 400)),
  },
  {
    what: 'a tag that is none, in a push',
    reference: '404',
    own: '400 TAG_INVALID',
    why: 'spec',
    fits: all(about(/^refused: a tag/), between(404, 400)),
  },
  {
    what: 'a manifest without `Content-Type`',
    reference: '400',
    own: '201 if it names its type itself',
    why: 'spec',
    fits: about(/^refused: no content type$/),
  },
  {
    what: '`Accept`',
    reference:
      '404 or 400 for a type that it does not list; lists are replaced by their image for linux/amd64',
    own: 'never refuses: what is stored is served',
    why: 'spec; clients without `Accept` get their manifest, and the digest is that of what was pushed',
    fits: about(/^manifest: .*(accepting|no Accept|without amd64)/),
  },
  {
    what: 'what is no manifest, asked for as one',
    reference: '500',
    own: '404',
    why: 'spec',
    fits: about(/^manifest: layer as a manifest$/),
  },
  {
    what: '`/v2/<name>/referrers/<digest>`',
    reference: '404',
    own: '200',
    why: 'spec',
    fits: about(/^referrers$/),
  },
  {
    what: 'tag lists',
    reference: '2.8.2: in no order, never in pages',
    own: 'byte order, in pages',
    why: 'spec',
    fits: about(/^tags: |tags that are left$/),
  },
  {
    what: 'the catalog',
    reference: '`/` sorts before everything else; 2.8.2 lists repositories without manifests',
    own: 'byte order; repositories that hold a manifest, or did',
    why: 'spec',
    fits: all(about(/^catalog: /), sameStatus),
  },
  {
    what: 'a page size that is no number',
    reference: '2.8.2: ignored',
    own: '400 PAGINATION_NUMBER_INVALID',
    why: 'safety',
    fits: all(about(/^catalog: /), between(200, 400)),
  },
  {
    what: 'names with a port, or of more than 255 characters',
    reference: '500',
    own: '404 NAME_INVALID',
    why: 'spec',
    fits: all(about(/^name: /), between(500, 404)),
  },
  {
    what: 'deleting a tag',
    reference: '2.8.2: 400',
    own: '202, or 404',
    why: 'spec',
    fits: about(/^delete: a tag/),
  },
  {
    what: 'what has no route, or not by that method',
    reference: 'text',
    own: 'the specification’s JSON',
    why: 'spec',
    fits: all(sameStatus, ({ theirs }) => isError(theirs), isText),
  },
  {
    what: 'a method that does not exist, without credentials',
    reference: '401',
    own: '405',
    why: 'there is nothing to be let in to',
    fits: all(about(/^a wrong method, /), between(401, 405)),
  },
  {
    what: 'a chunk, while nothing may be written',
    reference: '404, as the upload is unknown',
    own: '405',
    why: 'spec',
    fits: about(/^a chunk, read-only$/),
  },
  {
    what: 'tokens for several audiences',
    reference: '2.8.2: 401',
    own: 'let in if the service is among them',
    why: 'RFC 7519, 4.1.3',
    fits: about(/with several audiences$/),
  },
  {
    what: 'mount from a repository that the token does not cover',
    reference: '401; the challenge names its scope, too',
    own: '202, an upload, if the push is allowed; a password where tokens are wanted is not told of its scope',
    why: 'safety: whether it has the blob is not told',
    fits: all(about(/^a blob is mounted, /), any(between(401, 202), about(/with a password$/))),
  },
  {
    what: 'the challenge for a token that is none, or signed by nobody whom we know',
    reference: '2.8.2: `error="invalid_token"`',
    own: 'without an error',
    why: 'as distribution 3 does',
    fits: all(
      fieldIs('www-authenticate'),
      ({ reference, own }) => inOrder(reference) === inOrder(`${own},error="invalid_token"`),
    ),
  },
  {
    what: 'order of actions in a challenge',
    reference: 'by chance',
    own: '`pull,push`',
    why: 'clients compare',
    fits: all(fieldIs('www-authenticate'), ({ reference, own }) => inOrder(reference) === inOrder(own)),
  },
  {
    what: '`http.relativeurls` with `http.prefix`',
    reference: 'URLs without the prefix, which lead nowhere',
    own: 'URLs with the prefix',
    why: 'clients',
    fits: all(fieldIs('location'), ({ suite }) => suite === 'relative URLs'),
  },
  {
    what: '`Content-Type` of JSON',
    reference: '2.8.2: with `charset=utf-8`',
    own: '`application/json`',
    why: 'as distribution 3 does',
    fits: all(
      fieldIs('content-type'),
      ({ reference, own }) => String(reference).startsWith('application/json') && own === 'application/json',
    ),
  },
  {
    what: '`detail` of errors',
    reference: '2.8.2: fields of its own structures',
    own: 'a sentence, or the digest',
    why: 'people read it; code and status are the same',
    fits: all(
      sameStatus,
      fieldIs('body', 'content-length'),
      ({ theirs, ours }) => isError(theirs) && codes(theirs.body) === codes(ours.body),
    ),
  },
]
