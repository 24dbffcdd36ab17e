import t, { type Test } from 'tap'
import { openSocket, pushBlob, type ErrorBody } from '../../support/http-client.ts'
import { startMemoryServer } from '../../support/server.ts'

interface Answer {
  readonly status: number
  readonly head: string
  readonly body: string
}

async function ask(t: Test, port: number, request: string): Promise<Answer> {
  const client = await openSocket(t, port)
  client.write(request)
  const { text } = await client.ended()
  const [head = '', body = ''] = text.split('\r\n\r\n')
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]), head, body }
}

const close = 'Host: h\r\nConnection: close\r\n'
const upload = '/v2/foo/blobs/uploads/'

t.test('refuseUnservable() answers with an error body what Node would answer with none', async t => {
  const { port } = await startMemoryServer(t)
  const table: readonly (readonly [request: string, status: number, detail: RegExp])[] = [
    [`GET /v2/?x=${'x'.repeat(9_000)} HTTP/1.1\r\n${close}\r\n`, 414, /8192 characters/],
    [`GET /${'x/'.repeat(5_000)} HTTP/1.1\r\n${close}\r\n`, 414, /8192 characters/],
    ['GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n', 400, /Host header/],
    [`GET /v2/ HTTP/1.1\r\n${close}Expect: a miracle\r\n\r\n`, 417, /100-continue/],
    [`POST ${upload} HTTP/1.1\r\n${close}Expect: 100-continue, x\r\nContent-Length: 9\r\n\r\n`, 417, /100-c/],
    [
      `POST ${upload} HTTP/1.1\r\n${close}Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx`,
      415,
      /content coding/,
    ],
    [
      `PUT /v2/foo/manifests/v1 HTTP/1.1\r\n${close}Content-Encoding: GZIP\r\nContent-Length: 1\r\n\r\nx`,
      415,
      /content coding/,
    ],
    [
      `POST ${upload} HTTP/1.1\r\n${close}Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
      501,
      /transfer coding/,
    ],
  ]
  for (const [request, status, detail] of table) {
    const answer = await ask(t, port, request)

    t.equal(answer.status, status, request.slice(0, 120))
    t.match(answer.head, /\r\nContent-Type: application\/json\r\n/)
    t.match(answer.head, /\r\nDocker-Distribution-Api-Version: registry\/2\.0\r\n/)
    const { errors } = JSON.parse(answer.body) as ErrorBody
    t.match(errors, [{ code: 'UNSUPPORTED', detail }])
  }
})

t.test('refuseUnservable() tells with a 415 what would have been taken', async t => {
  const { port } = await startMemoryServer(t)

  const { head } = await ask(
    t,
    port,
    `POST ${upload} HTTP/1.1\r\n${close}Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx`,
  )

  t.match(head, /\r\nAccept-Encoding: identity\r\n/)
})

t.test('refuseUnservable() answers HEAD with headers alone', async t => {
  const { port } = await startMemoryServer(t)

  const { status, head, body } = await ask(t, port, `HEAD /${'x'.repeat(9_000)} HTTP/1.1\r\n${close}\r\n`)

  t.equal(status, 414)
  t.match(head, /\r\nContent-Length: [1-9]\d*/)
  t.equal(body, '')
})

t.test('refuseUnservable() lets everything else through', async t => {
  const { url, port } = await startMemoryServer(t)
  await pushBlob(url, 'foo', 'x')
  const table: readonly (readonly [request: string, status: number])[] = [
    [`GET /v2/?x=${'x'.repeat(8_000)} HTTP/1.1\r\n${close}\r\n`, 200],
    ['GET /v2/ HTTP/1.0\r\n\r\n', 200],
    ['GET /v2/ HTTP/1.0\r\nExpect: a miracle\r\n\r\n', 200],
    [`GET /v2/ HTTP/1.1\r\n${close}Content-Encoding: gzip\r\n\r\n`, 200],
    [`POST ${upload} HTTP/1.1\r\n${close}Content-Encoding: identity\r\nContent-Length: 0\r\n\r\n`, 202],
    [`POST ${upload} HTTP/1.1\r\n${close}Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n`, 202],
    [`GET /v2/ HTTP/1.1\r\n${close}Upgrade: websocket\r\n\r\n`, 200],
    [`GET http://[::1/v2/ HTTP/1.1\r\n${close}\r\n`, 200],
    [`GET http://registry.example?x HTTP/1.1\r\n${close}\r\n`, 200],
  ]
  for (const [request, status] of table) {
    const answer = await ask(t, port, request)

    t.equal(answer.status, status, request.slice(0, 80))
  }
})
