import { Agent, request } from 'node:http'
import { once } from 'node:events'
import { absentDigest, digestOf, octetStream, send, withQuery, type Answer } from './repository.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'
import { checkSentences, sentence } from './sentences.ts'
import { startRegistry } from './start-registry.ts'

const content = '0123456789'
const digest = digestOf(content)
const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/

function patch(location: string, body: string, range?: string): Promise<Answer> {
  const headers = { ...octetStream, ...(range !== undefined && { 'Content-Range': range }) }
  return send('PATCH', location, { body, headers })
}

function close(location: string, body = '', headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return send('PUT', withQuery(location, { digest }), { body, headers: { ...octetStream, ...headers } })
}

checkSentences(import.meta.url, [
  sentence('end-4a MUST', 'POST answers 202', async (t, { repository }) => {
    t.equal((await send('POST', repository.uploads)).status, 202)
  }),

  sentence('end-4a MUST', 'the answer to POST has a Location to go on at', async (t, { repository }) => {
    const { location } = await send('POST', repository.uploads)
    t.equal((await send('GET', location)).status, 204)
  }),

  sentence(
    'end-4a MUST',
    'Location contains a UUID that is unique to the session',
    async (t, { repository }) => {
      const ids = [await repository.startUpload(), await repository.startUpload()].map(
        url => uuid.exec(url)?.[0],
      )
      t.ok(ids.every(id => id !== undefined))
      t.not(ids[0], ids[1])
    },
  ),

  sentence('end-6 MUST', 'PUT of a whole blob answers 201', async (t, { repository }) => {
    t.equal((await close(await repository.startUpload(), content)).status, 201)
  }),

  sentence('end-6 MUST', 'the answer to PUT has a Location that can be pulled', async (t, { repository }) => {
    const { location } = await close(await repository.startUpload(), content)
    const pulled = await send('GET', location)
    t.equal(pulled.status, 200)
    t.equal(pulled.bytes.toString(), content)
  }),

  sentence(
    'end-4b MUST',
    'a single POST answers 201 when it has made the blob',
    async (t, { repository }) => {
      const url = withQuery(repository.uploads, { digest })
      t.equal((await send('POST', url, { body: content, headers: octetStream })).status, 201)
    },
  ),

  sentence('end-4b MUST', 'a single POST has a Location that can be pulled', async (t, { repository }) => {
    const url = withQuery(repository.uploads, { digest })
    const { location } = await send('POST', url, { body: content, headers: octetStream })
    t.equal((await send('GET', location)).bytes.toString(), content)
  }),

  sentence(
    'end-4b MUST',
    'Content-Length of a single POST is the length of the blob: less is not taken for it',
    async (t, { repository }) => {
      const url = withQuery(repository.uploads, { digest })
      const headers = { ...octetStream, 'Content-Length': String(content.length + 5) }
      const req = request(url, { method: 'POST', headers, agent: new Agent() })
      req.on('error', () => undefined)
      const answered = once(req, 'response').catch(() => undefined)
      req.write(content)
      req.flushHeaders()
      await new Promise(resolve => setImmediate(resolve))
      req.destroy()
      await answered
      t.equal((await send('HEAD', repository.blob(digest))).status, 404)
    },
  ),

  sentence('end-4b MUST', 'digest of a single POST is that of the blob', async (t, { repository }) => {
    const url = withQuery(repository.uploads, { digest })
    t.equal((await send('POST', url, { body: 'another', headers: octetStream })).status, 400)
    t.equal((await send('HEAD', repository.blob(digest))).status, 404)
  }),

  sentence(
    'end-6 SHOULD (next)',
    'a digest that is invalid, of an unknown algorithm or of other content answers 400',
    async (t, { repository }) => {
      for (const wrong of ['sha256:abc', 'nonsense', 'md5:d41d8cd98f00b204e9800998ecf8427e', absentDigest]) {
        const url = withQuery(await repository.startUpload(), { digest: wrong })
        t.equal((await send('PUT', url, { body: content, headers: octetStream })).status, 400, wrong)
      }
    },
  ),

  sentence(
    'end-4c SHOULD (next)',
    'POST is told another algorithm than sha256',
    async (t, { repository }) => {
      const started = await send('POST', withQuery(repository.uploads, { 'digest-algorithm': 'sha512' }))
      t.equal(started.status, 202)
      const streamed = await patch(started.location, content)
      const url = withQuery(streamed.location, { digest: digestOf(content, 'sha512') })
      const { status, headers } = await send('PUT', url, { headers: octetStream })
      t.equal(status, 201)
      t.equal(headers.get('docker-content-digest'), digestOf(content, 'sha512'))
    },
  ),

  sentence('end-5 MUST', 'a chunk answers 202 with Location', async (t, { repository }) => {
    const first = await patch(await repository.startUpload(), '0123', '0-3')
    t.equal(first.status, 202)
    const second = await patch(first.location, '456789', '4-9')
    t.equal(second.status, 202)
    t.equal((await close(second.location)).status, 201)
  }),

  sentence(
    'end-5 MUST (1.1)',
    'a chunk answers with Range: 0 and its last byte',
    async (t, { repository }) => {
      const first = await patch(await repository.startUpload(), '0123', '0-3')
      t.equal(first.headers.get('range'), '0-3')
      const second = await patch(first.location, '456789', '4-9')
      t.equal(second.headers.get('range'), '0-9')
    },
  ),

  sentence('end-5 MUST', 'the range of a chunk is inclusive on both ends', async (t, { repository }) => {
    const location = await repository.startUpload()
    const { status } = await patch(location, '0123', '0-4')
    t.ok(status >= 400 && status < 500, 'five bytes announced, four sent')
    t.equal((await patch(await repository.startUpload(), '0', '0-0')).status, 202, 'one byte')
  }),

  sentence('end-5 MUST', 'the first chunk begins at 0', async (t, { repository }) => {
    t.equal((await patch(await repository.startUpload(), content, '1-10')).status, 416)
  }),

  sentence('end-5 MUST', 'the range of a chunk is of the form digits-digits', async (t, { repository }) => {
    for (const range of ['nonsense', '0', '-9', '0-', '-5-4', 'lines 0-9/10', '0-9,10-19']) {
      const { status } = await patch(await repository.startUpload(), content, range)
      t.ok(status >= 400 && status < 500, `${range}: ${status}`)
    }
  }),

  sentence('end-5 MUST', 'a chunk out of order answers 416', async (t, { repository }) => {
    t.equal((await patch(await repository.startUpload(), '56789', '5-9')).status, 416, 'the last one first')
    const { location } = await patch(await repository.startUpload(), '0123', '0-3')
    for (const [range, body, what] of [
      ['5-9', '56789', 'a gap'],
      ['3-9', '3456789', 'an overlap'],
      ['0-3', '0123', 'the same again'],
    ] as const) {
      t.equal((await patch(location, body, range)).status, 416, what)
    }
    const rest = await patch(location, '456789', '4-9')
    t.equal(rest.status, 202, 'a refused chunk leaves the session as it was')
    t.equal((await close(rest.location)).status, 201)
  }),

  sentence(
    'end-4a SHOULD (1.1)',
    'OCI-Chunk-Min-Length is sent where chunks have a least size: there is none, a byte will do',
    async (t, { repository }) => {
      const { headers, location } = await send('POST', repository.uploads)
      t.equal(headers.get('oci-chunk-min-length'), null)
      let at = location
      for (const [index, byte] of [...content].entries()) {
        const answer = await patch(at, byte, `${index}-${index}`)
        t.equal(answer.status, 202)
        at = answer.location
      }
      t.equal((await close(at)).status, 201)
    },
  ),

  sentence(
    'end-6 MUST',
    'a session is closed with PUT: before, there is no blob',
    async (t, { repository }) => {
      const { location } = await patch(await repository.startUpload(), content, '0-9')
      t.equal((await send('HEAD', repository.blob(digest))).status, 404)
      t.equal((await close(location)).status, 201)
      t.equal((await send('HEAD', repository.blob(digest))).status, 200)
      t.equal((await send('GET', location)).status, 404, 'the session is over')
    },
  ),

  sentence('end-6 MUST', 'the closing PUT has the digest of the whole blob', async (t, { repository }) => {
    const { location } = await patch(await repository.startUpload(), '01234', '0-4')
    t.equal((await send('PUT', location, { body: '56789', headers: octetStream })).status, 400, 'no digest')
    const again = await patch(await repository.startUpload(), '01234', '0-4')
    const url = withQuery(again.location, { digest: digestOf('56789') })
    t.equal((await send('PUT', url, { body: '56789', headers: octetStream })).status, 400, 'of the chunk')
  }),

  sentence(
    'end-6 MUST',
    'closing answers 201 with a Location that can be pulled, the last chunk in PATCH or in PUT',
    async (t, { repository, other }) => {
      const whole = await patch(await repository.startUpload(), content, '0-9')
      const part = await patch(await other.startUpload(), '01234', '0-4')
      for (const answer of [
        await close(whole.location),
        await close(part.location, '56789', { 'Content-Range': '5-9' }),
      ]) {
        t.equal(answer.status, 201)
        t.equal((await send('GET', answer.location)).bytes.toString(), content)
      }
    },
  ),

  sentence('end-6 MUST (1.1)', 'a last chunk out of order in PUT answers 416', async (t, { repository }) => {
    const { location } = await patch(await repository.startUpload(), '01234', '0-4')
    for (const [range, body] of [
      ['6-9', '6789'],
      ['4-9', '456789'],
    ] as const) {
      t.equal((await close(location, body, { 'Content-Range': range })).status, 416, range)
    }
    t.equal((await close(location, '56789', { 'Content-Range': '5-9' })).status, 201)
  }),

  sentence('end-13 MUST (1.1)', 'GET of an active session answers 204', async (t, { repository }) => {
    const { location } = await patch(await repository.startUpload(), '01234', '0-4')
    t.equal((await patch(location, '789', '7-9')).status, 416)
    t.equal((await send('GET', location)).status, 204)
  }),

  sentence(
    'end-13 MUST (1.1)',
    'GET of an active session has Location and Range: 0 and the last byte',
    async (t, { repository }) => {
      const { location } = await patch(await repository.startUpload(), '01234', '0-4')
      await patch(location, '789', '7-9')
      const status = await send('GET', location)
      t.equal(status.headers.get('range'), '0-4')
      const rest = await patch(status.location, '56789', '5-9')
      t.equal(rest.status, 202, 'the upload goes on at that Location')
      t.equal((await close(rest.location)).status, 201)
    },
  ),

  sentence('end-14 SHOULD (next)', 'DELETE of a session answers 204', async (t, { repository }) => {
    const { location } = await patch(await repository.startUpload(), '01234', '0-4')
    t.equal((await send('DELETE', location)).status, 204)
    t.equal((await send('GET', location)).status, 404)
    t.equal((await send('DELETE', location)).status, 404)
  }),

  sentence('end-11 MUST', 'a successful mount answers 201', async (t, { repository, other }) => {
    await other.pushBlob(content)
    const url = withQuery(repository.uploads, { mount: digest, from: other.name })
    t.equal((await send('POST', url)).status, 201)
  }),

  sentence(
    'end-11 MUST',
    'a successful mount has a Location that can be pulled, in the repository mounted to',
    async (t, { repository, other }) => {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        const mount = await other.pushBlob(content, algorithm)
        const answer = await send('POST', withQuery(repository.uploads, { mount, from: other.name }))
        t.ok(answer.location.startsWith(repository.root))
        t.equal((await send('GET', answer.location)).bytes.toString(), content)
        t.equal(answer.headers.get('docker-content-digest'), mount)
      }
    },
  ),

  sentence(
    'end-11 SHOULD',
    'a mount that is not possible answers 202 with the Location of a session',
    async (t, { repository, other }) => {
      const absent = digestOf('neither here nor there')
      const queries = [
        { mount: absent, from: other.name },
        { mount: absent, from: 'conformance/nowhere' },
        { mount: absent, from: 'Not A Name' },
        { mount: 'sha256:abc', from: other.name },
        { mount: absent },
      ]
      for (const query of queries) {
        const { status, location } = await send('POST', withQuery(repository.uploads, query))
        t.equal(status, 202, JSON.stringify(query))
        t.equal((await send('GET', location)).status, 204)
      }
      const { location } = await send(
        'POST',
        withQuery(repository.uploads, { mount: digest, from: 'no/where' }),
      )
      t.equal((await close(location, content)).status, 201, 'the upload goes on there')
    },
  ),

  sentence('end-14 SHOULD (next)', 'unfinished uploads end by themselves', async (t, { driver }) => {
    const clock = new ManualClock(Date.now())
    const { url } = await startRegistry(t, { driver, clock })
    const { location } = await send('POST', `${url}/v2/conformance/abandoned/blobs/uploads/`)
    t.equal((await send('GET', location)).status, 204)
    await clock.slept()
    clock.advance(200 * 60 * 60 * 1000)
    await until(async () => (await send('GET', location)).status === 404)
  }),
])
