// Whole requests, from the connection's first byte on, at a server that is in the middle of its work: whatever comes,
// the answer is never that we failed, and every refusal has the protocol's form.
import { connect } from 'node:net'
import t from 'tap'
import { errorCodes } from '../../lib/oci/errors.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { pushBlob, pushImage, sha256, type ErrorBody } from '../support/http-client.ts'
import { chooseSeed, RandomInputs } from '../support/random-inputs.ts'
import { startMemoryServer } from '../support/server.ts'

const runs = 5_000
const atOnce = 16
/** A server that has not answered by then waits for what was announced and does not come. */
const patienceMs = 2_000
const maxMs = 10_000

const blobText = 'the content of a blob'

interface Content {
  readonly blob: string
  readonly digest: string
  readonly manifest: string
  /** As the server starts them; the last one is where it stands now. */
  readonly sessions: string[]
}

interface Request {
  readonly method: string
  readonly text: string
}

interface Draft {
  readonly method: string
  readonly target: string
  readonly headers?: readonly string[]
  readonly body?: string
}

const hello = sha256('hello')
const manifestHeaders = [`Content-Type: ${mediaTypes.ociManifest}`]

/** Requests that make sense, now. */
function drafts({ blob, digest, manifest, sessions }: Content): readonly Draft[] {
  const blobPath = `/v2/foo/blobs/${blob}`
  const uploads = '/v2/foo/blobs/uploads/'
  const session = sessions.at(-1) ?? `${uploads}0190f3a5-7b1c-4d2e-8f3a-1b2c3d4e5f60?_state=AAAA`
  return [
    ...['/', '/v2/', '/v2/_catalog?n=5', '/v2/foo/tags/list?n=0&last=v1', '/v2/foo/tags/list'].map(get),
    ...[blobPath, '/v2/foo/manifests/v1', `/v2/foo/manifests/${digest}`, `/v2/foo/referrers/${digest}`].map(get),
    { method: 'HEAD', target: blobPath },
    { method: 'HEAD', target: '/v2/foo/manifests/v1' },
    { ...get(blobPath), headers: ['Range: bytes=0-1'] },
    { ...get(blobPath), headers: ['Range: bytes=0-1,3-4,-1', `If-Range: "${blob}"`] },
    { ...get(blobPath), headers: ['Range: bytes=99999-'] },
    { ...get(blobPath), headers: [`If-None-Match: "${blob}"`] },
    { ...get('/v2/foo/manifests/v1'), headers: [`If-Match: "${blob}"`] },
    { method: 'PUT', target: '/v2/foo/manifests/v1', headers: manifestHeaders, body: manifest },
    { method: 'PUT', target: `/v2/foo/manifests/${digest}?tag=a&tag=b`, headers: manifestHeaders, body: manifest },
    { method: 'POST', target: `${uploads}?digest=${hello}`, body: 'hello' },
    { method: 'POST', target: `${uploads}?digest=${blob}`, body: blobText },
    { method: 'POST', target: `${uploads}?mount=${blob}&from=foo/bar` },
    { method: 'POST', target: uploads },
    { method: 'POST', target: `${uploads}?digest-algorithm=sha512` },
    { method: 'GET', target: session },
    { method: 'PATCH', target: session, body: 'hello' },
    { method: 'PATCH', target: session, headers: ['Content-Range: 0-4'], body: 'hello' },
    { method: 'PUT', target: `${session}&digest=${hello}` },
    { method: 'PUT', target: `${session}&digest=${hello}`, body: 'hello', headers: ['Expect: 100-continue'] },
    { method: 'DELETE', target: session },
    { method: 'DELETE', target: `/v2/foo/blobs/${hello}` },
    { method: 'DELETE', target: '/v2/foo/manifests/a' },
    { method: 'OPTIONS', target: blobPath },
  ] // prettier-ignore
}

function get(target: string): Draft {
  return { method: 'GET', target }
}

const methods = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'SEARCH']
const headerSamples = [
  ...['Range: bytes=0-1,3-4', 'If-Range: Sat, 01 Jan 2000 00:00:00 GMT', 'If-Match: *', 'If-None-Match: W/"x", "y"'],
  ...['Accept: text/html;q=0.5', 'Accept-Encoding: gzip, identity;q=0', 'Content-Type: text/plain', 'Content-Range: 5-9'],
  ...['Content-Encoding: gzip', 'Expect: 100-continue', 'Expect: nothing', 'Forwarded: host=a.example;proto=https'],
  ...['X-Forwarded-Host: proxy.example', 'X-Forwarded-Proto: https', 'X-Forwarded-For: 10.0.0.1', 'X-Request-Id: a-1'],
  ...['Authorization: Basic YTpi', 'Upgrade: websocket', 'Host: another', 'Cookie: a=b', 'Transfer-Encoding: gzip'],
] // prettier-ignore

/** A request as bytes in latin1, bent in most of its parts every now and then. */
function makeRequest(random: RandomInputs, content: Content): Request {
  const bend = (probability: number, text: string) =>
    random.chance(probability) ? random.text([text]) : text
  const { headers = [], ...draft } = random.pick(drafts(content))
  const method = bend(0.01, random.chance(0.1) ? random.pick(methods) : draft.method)
  const body = Buffer.from(bend(0.2, draft.body ?? '')).toString('latin1')
  const isChunked = random.chance(0.1)
  const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`
  const extras = Array.from({ length: random.chance(0.5) ? random.below(4) : 0 }, () =>
    random.pick(headerSamples),
  )
  const head = [
    `${method} ${bend(0.2, draft.target)} HTTP/1.${random.chance(0.97) ? 1 : 0}`,
    'Connection: close',
    ...(random.chance(0.97) ? ['Host: registry.example'] : []),
    ...[...headers, ...extras].map(header => bend(0.2, header)),
    ...(body === '' && !isChunked ? [] : [bend(0.01, framing)]),
  ]
  const chunks = body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`
  return { method, text: `${head.join('\r\n')}\r\n\r\n${isChunked ? `${chunks}0\r\n\r\n` : body}` }
}

/** Everything that came until the server closed the connection, and what is wrong with it; empty if nothing is. */
async function send(
  port: number,
  { method, text }: Request,
): Promise<{ readonly received: string; readonly problem: string }> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let received = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => (received += chunk))
  socket.on('error', () => {}) // A reset is an end as well.
  socket.on('end', () => socket.end())
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  let problem = 'no answer'
  const impatience = setTimeout(() => {
    problem = '' // What was announced and did not come need not be answered.
    socket.end()
  }, patienceMs)
  const limit = setTimeout(() => {
    problem = 'the connection was not closed'
    socket.destroy()
  }, maxMs)
  socket.write(text, 'latin1')
  await closed
  clearTimeout(impatience)
  clearTimeout(limit)
  return { received, problem: received === '' ? problem : findProblem(method, received) }
}

/** What is wrong with an answer; empty if nothing is. */
function findProblem(method: string, received: string): string {
  const answer = received.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '')
  const headEnd = answer.indexOf('\r\n\r\n')
  const head = answer.slice(0, headEnd)
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
  if (headEnd === -1 || Number.isNaN(status)) return 'no answer of HTTP'
  if (status >= 500 && status !== 501) return `status ${status}`
  if (status < 400 || method === 'HEAD') return ''
  if (!/\r\nContent-Type: application\/json(?:\r|$)/.test(head)) return `no JSON with status ${status}`
  const length = Number(/\r\nContent-Length: (\d+)/.exec(head)?.[1])
  const { errors } = JSON.parse(answer.slice(headEnd + 4, headEnd + 4 + length)) as ErrorBody
  const isKnown =
    errors.length > 0 && errors.every(({ code, message }) => code in errorCodes && message !== '')
  return isKnown ? '' : 'no error body of the protocol'
}

t.test(`${runs} requests that nobody means are never answered 500`, async t => {
  const seed = chooseSeed()
  const random = new RandomInputs(seed)
  t.comment(`FUZZ_SEED=${seed}`)
  const { url, port, logLines } = await startMemoryServer(t)
  const blob = await pushBlob(url, 'foo', blobText)
  const content: Content = { blob, ...(await pushImage(url, 'foo', 'v1')), sessions: [] }
  const statuses = new Map<string, number>()

  let left = runs
  async function client(): Promise<void> {
    while (left-- > 0) {
      const request = makeRequest(random, content)
      const { received, problem } = await send(port, request)
      if (problem !== '') {
        left = 0
        t.fail(`FUZZ_SEED=${seed}: ${problem}`, { request: JSON.stringify(request.text), received })
      }
      const session = /\r\nLocation: [^\r]*?(\/v2\/[^\r]*_state=[^\r]*)/.exec(received)?.[1]
      if (session !== undefined) content.sessions.push(session)
      const status = /^(?:HTTP\/1\.1 100 [^]*?\r\n\r\n)?HTTP\/1\.1 (\d+)/.exec(received)?.[1] ?? ''
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, client))

  t.same(logLines, [], 'the server logs no error')
  t.equal((await fetch(`${url}/v2/`)).status, 200, 'the server goes on serving')
  const counts = [...statuses].toSorted().map(([status, count]) => `${status || 'closed'}: ${count}`)
  t.comment(counts.join(', '))
  for (const status of ['200', '201', '202', '206', '304', '400', '404', '405', '412', '416', '417']) {
    t.ok(statuses.has(status), `${status} was among the answers`)
  }
})
