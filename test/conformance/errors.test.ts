import { mediaTypes } from '../../lib/oci/media-types.ts'
import {
  absentDigest,
  digestOf,
  octetStream,
  Repository,
  send,
  withQuery,
  type Answer,
} from './repository.ts'
import { checkSentences, sentence } from './sentences.ts'
import { startRegistry } from './start-registry.ts'

interface ErrorItem {
  readonly code: string
  readonly message?: unknown
}

/** The specification's table. */
const codes = [
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'UNAUTHORIZED',
  'DENIED',
  'UNSUPPORTED',
  'TOOMANYREQUESTS',
]

/** Codes of distribution for what the table has none for. */
const others = ['PAGINATION_NUMBER_INVALID', 'RANGE_INVALID', 'TAG_INVALID']

/** One refusal of every kind, by what was asked. */
async function refusals(repository: Repository): Promise<ReadonlyMap<string, Answer>> {
  const { digest, bytes } = await repository.pushImage({ tag: 'v1' })
  const blob = await repository.pushBlob('0123456789')
  const session = await repository.startUpload()
  const chunk = (range: string) =>
    send('PATCH', session, { body: '01234', headers: { ...octetStream, 'Content-Range': range } })
  const put = (location: string, wanted: string) => send('PUT', withQuery(location, { digest: wanted }))
  const missing = JSON.stringify({ schemaVersion: 2, manifests: [{ digest: absentDigest, size: 1 }] })
  const asked: readonly (readonly [what: string, answer: Promise<Answer>])[] = [
    ['an unknown blob', send('GET', repository.blob(absentDigest))],
    ['a malformed digest', send('GET', repository.blob('sha256:abc'))],
    ['an unknown tag', send('GET', repository.manifest('v9'))],
    ['an unknown manifest', send('GET', repository.manifest(absentDigest))],
    ['tags of an unknown repository', send('GET', new Repository(repository.url, 'no/where').tags)],
    ['a name that is none', send('GET', `${repository.url}/v2/A..b/tags/list`)],
    ['no endpoint', send('GET', `${repository.url}/v2/a/b/c`)],
    ['an unknown session', send('GET', `${repository.uploads}00000000-0000-4000-8000-000000000000`)],
    ['a session without its state', send('PATCH', session.split('?')[0] ?? '')],
    ['a chunk out of order', chunk('5-9')],
    ['a chunk of another size', chunk('0-9')],
    ['no digest', send('PUT', session)],
    ['a malformed digest to close with', put(await repository.startUpload(), 'sha256:abc')],
    ['the digest of other content', put(await repository.startUpload(), absentDigest)],
    ['a range beyond the end', send('GET', repository.blob(blob), { headers: { Range: 'bytes=99-' } })],
    ['a manifest that is no JSON', repository.putManifest('v1', '{')],
    ['a manifest of another type', repository.putManifest('v1', bytes, mediaTypes.ociIndex)],
    ['a manifest with a missing reference', repository.putManifest('v1', missing, mediaTypes.ociIndex)],
    ['a manifest under another digest', repository.putManifest(digestOf('x'), bytes)],
    ['a manifest that is too large', repository.putManifest('v1', ' '.repeat(5 * 1024 * 1024))],
    ['a tag that is none', repository.putManifest('.v1', bytes)],
    ['tags by a negative number', send('GET', withQuery(repository.tags, { n: '-1' }))],
    ['a method that is not supported', send('POST', repository.manifest(digest))],
  ]
  return new Map(await Promise.all(asked.map(async ([what, answer]) => [what, await answer] as const)))
}

function itemsOf({ bytes }: Answer): readonly ErrorItem[] {
  return (JSON.parse(bytes.toString()) as { readonly errors: ErrorItem[] }).errors
}

checkSentences(import.meta.url, [
  sentence(
    'errors MUST',
    'a 4xx answer in JSON is a list of errors with code, message and detail',
    async (t, { repository }) => {
      for (const [what, answer] of await refusals(repository)) {
        t.ok(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status}`)
        t.equal(answer.headers.get('content-type'), 'application/json', what)
        t.same(Object.keys(JSON.parse(answer.bytes.toString())), ['errors'], what)
        t.ok(itemsOf(answer).length > 0, what)
        for (const item of itemsOf(answer)) {
          t.same(
            Object.keys(item).filter(key => !['code', 'message', 'detail'].includes(key)),
            [],
            what,
          )
        }
      }
    },
  ),

  sentence('errors MUST', 'a code has upper-case letters and underscores only', async (t, { repository }) => {
    for (const [what, answer] of await refusals(repository)) {
      for (const { code } of itemsOf(answer)) t.match(code, /^[A-Z_]+$/, what)
    }
  }),

  sentence(
    'errors MUST',
    'a code is one of the table',
    async (t, { repository }) => {
      const found = [...(await refusals(repository)).values()].flatMap(itemsOf).map(({ code }) => code)
      t.same([...new Set(found)].filter(code => !codes.includes(code)).toSorted(), others)
    },
    {
      departs:
        'the table has no code for a range, a tag or a page size that is not valid; distribution’s are ' +
        'RANGE_INVALID, TAG_INVALID and PAGINATION_NUMBER_INVALID',
    },
  ),

  sentence('errors SHOULD', 'a message is text for people', async (t, { repository }) => {
    for (const [what, answer] of await refusals(repository)) {
      for (const { message } of itemsOf(answer)) t.match(message, /\w+ \w+/, what)
    }
  }),

  sentence(
    'warnings MUST (1.1)',
    'a Warning has code 299 and agent -, and no date; together they are no longer than 4096 bytes',
    async (t, { driver }) => {
      const upstream = await startRegistry(t, { driver: 'inmemory' })
      const { digest } = await new Repository(upstream.url, 'a/b').pushImage({ tag: 'v1' })
      const mirror = await startRegistry(t, {
        driver,
        sections: `proxy: {remoteurl: "${upstream.url}", cache: {tagttl: 0s}}`,
      })
      const url = new Repository(mirror.url, 'a/b').manifest('v1')
      t.equal((await send('GET', url)).headers.get('warning'), null)
      await upstream.stop()
      const { status, headers } = await send('GET', url)
      t.equal(status, 200, 'the last known manifest is served while the upstream is gone')
      t.equal(headers.get('docker-content-digest'), digest)
      const warning = headers.get('warning') ?? ''
      t.match(warning, /^299 - "(?:[^"\\]|\\.)*", 110 - "Response is Stale"$/)
      t.ok(warning.length <= 4096)
    },
    {
      departs: 'a stale answer has a second one, 110, as RFC 7234 has it',
    },
  ),
])
