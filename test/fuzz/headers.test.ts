// What headers and query parameters carry: ranges, conditions, forwarding, challenges, upload states, pages.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import Koa from 'koa'
import t from 'tap'
import { isNotModified, isRangeWelcome } from '../../lib/http/conditional.ts'
import type { Context, RequestState } from '../../lib/http/context.ts'
import { parsePage } from '../../lib/http/paging.ts'
import { parseForwarded } from '../../lib/http/forwarded.ts'
import { createUrlBuilder } from '../../lib/http/url-builder.ts'
import { createUploadState } from '../../lib/http/v2/upload-state.ts'
import { parseContentRange, parseRange, parseUploadRange } from '../../lib/oci/byte-range.ts'
import { parseDigest } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { parseUploadId } from '../../lib/oci/upload-id.ts'
import { parseRetryAfter, type HttpAnswer } from '../../lib/upstream/answer.ts'
import { parseChallenges } from '../../lib/upstream/challenge.ts'
import { nextPage } from '../../lib/upstream/listing.ts'
import { fuzz } from '../support/random-inputs.ts'

const digest = parseDigest(`sha256:${'0123456789abcdef'.repeat(4)}`)
const name = parseRepositoryName('team/app')
const id = parseUploadId('0190f3a5-7b1c-4d2e-8f3a-1b2c3d4e5f60')
const socket = new Socket()
const koa = new Koa<RequestState>()

function requestWith(headers: Readonly<Record<string, string>>, url = '/'): IncomingMessage {
  const req = new IncomingMessage(socket)
  Object.assign(req.headers, headers)
  req.url = url
  return req
}

function contextOf(req: IncomingMessage): Context {
  return koa.createContext(req, new ServerResponse(req))
}

fuzz(t, 'parseRange()', {
  make: random => ({
    header: random.text([
      'bytes=0-499',
      'bytes=500-',
      'bytes=-5',
      'bytes=0-0,10-20,-5',
      'bytes = 1-2 , 3-4,',
    ]),
    size: random.pick([0, 1, 10, 1000, 2 ** 40]),
  }),
  call({ header, size }) {
    const verdict = parseRange(header, size)

    if (verdict.kind !== 'ranges') return
    assert.ok(verdict.ranges.length >= 1 && verdict.ranges.length <= 16)
    const sorted = verdict.ranges.toSorted((a, b) => a.start - b.start)
    sorted.forEach(({ start, end }, i) => {
      assert.ok(Number.isSafeInteger(start) && Number.isSafeInteger(end))
      assert.ok(start >= (sorted[i - 1]?.end ?? 0) && end > start && end <= size)
    })
  },
})

fuzz(t, 'parseUploadRange()', {
  make: random => random.text(['0-499', 'bytes 500-999/1000', 'bytes=5-9', '0-0', '5-9/*']),
  call(header) {
    const { start, end } = parseUploadRange(header)

    assert.ok(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end > start)
  },
})

fuzz(t, 'parseContentRange()', {
  make: random => random.text(['bytes 0-499/1000', 'bytes 5-9/*', 'bytes */1000', 'Bytes 1-1/2']),
  call(header) {
    const range = parseContentRange(header)

    if (range === undefined) return
    assert.ok(Number.isSafeInteger(range.start) && range.end > range.start)
    assert.ok(range.total === undefined || range.end <= range.total)
  },
})

const conditions = [`"${digest}"`, `W/"${digest}"`, digest, '*', `"x", W/"y,z" ,"${digest}"`, `"${digest}`]

fuzz(t, 'isNotModified() for If-None-Match', {
  make: random => random.text(conditions),
  call(header) {
    const ctx = contextOf(requestWith({ 'if-none-match': header }))

    if (isNotModified(ctx, digest)) assert.ok(header.includes(digest) || header.trim() === '*')
  },
})

fuzz(t, 'isNotModified() for If-Match', {
  make: random => random.text(conditions),
  call(header) {
    const ctx = contextOf(requestWith({ 'if-match': header }))

    assert.equal(isNotModified(ctx, digest), false)
    assert.ok(header.includes(digest) || header.trim() === '*')
  },
})

fuzz(t, 'isRangeWelcome()', {
  make: random => random.text([`"${digest}"`, `W/"${digest}"`, 'Sat, 01 Jan 2000 00:00:00 GMT']),
  call(header) {
    const isWelcome = isRangeWelcome(contextOf(requestWith({ 'if-range': header })), digest)

    assert.equal(isWelcome, header === '' || header === `"${digest}"`)
  },
})

const forwarded = [
  'for=192.0.2.60;proto=https;by=203.0.113.43;host=registry.example',
  'host="registry.example:5000";proto=http, for=10.0.0.1',
  'For="[2001:db8:cafe::17]:4711"',
  'host="a\\"b"',
]

fuzz(t, 'parseForwarded()', {
  make: random => random.text(forwarded),
  call(header) {
    const { proto, host } = parseForwarded(header) ?? {}

    assert.ok(proto === undefined || typeof proto === 'string')
    assert.ok(host === undefined || typeof host === 'string')
  },
})

const urls = createUrlBuilder({ host: undefined, prefix: '', relativeUrls: false })
const hosts = [
  'registry.example',
  'registry.example:5000',
  '[::1]:5000',
  '10.0.0.1, proxy.example',
  'a_b-c.d',
]

fuzz(t, 'UrlBuilder', {
  make: random => {
    const headers: Record<string, string> = {}
    if (random.chance(0.8)) headers['host'] = random.text(hosts)
    if (random.chance(0.4)) headers['forwarded'] = random.text(forwarded)
    if (random.chance(0.4)) headers['x-forwarded-proto'] = random.text(['https', 'http', 'https, http'])
    if (random.chance(0.4)) headers['x-forwarded-host'] = random.text(hosts)
    return headers
  },
  call(headers) {
    const location = urls.blob(requestWith(headers), name, digest)

    assert.match(
      location,
      /^(?:https?:\/\/(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?)?\/v2\/team\/app\/blobs\//,
    )
    assert.doesNotMatch(location, /[^\x21-\x7e]/)
  },
})

fuzz(t, 'parseChallenges()', {
  make: random =>
    random.text([
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
      'Basic realm="x", Bearer realm=y , Negotiate abc==',
      'Bearer realm="a\\"b",error="invalid_token"',
    ]),
  call(header) {
    for (const { scheme, parameters } of parseChallenges([header, header])) {
      assert.equal(scheme, scheme.toLowerCase())
      for (const key of parameters.keys()) assert.equal(key, key.toLowerCase())
    }
  },
})

fuzz(t, 'parseRetryAfter()', {
  make: random => random.text(['120', 'Fri, 31 Dec 1999 23:59:59 GMT', '0']),
  call(header) {
    const ms = parseRetryAfter(header, 1_000_000)

    assert.ok(ms === undefined || (Number.isFinite(ms) && ms >= 0))
  },
})

const asked = new URL('https://hub.example/v2/team/app/tags/list?n=2')

fuzz(t, 'nextPage()', {
  make: random =>
    random.text([
      '</v2/team/app/tags/list?n=2&last=b>; rel="next"',
      '<https://hub.example/x>; rel=prev, <?last=%2F>; rel="last next"',
      '<'.repeat(8_000),
    ]),
  call(header) {
    const answer: Pick<HttpAnswer, 'headerLines'> = { headerLines: () => [header, header] }
    const next = nextPage(answer as HttpAnswer, asked)

    assert.ok(next === undefined || next === 'elsewhere' || next.origin === asked.origin)
  },
})

const secret = 'a secret for tests'
const states = createUploadState(secret)
const token = states.pack({ name, id, offset: 12_345, startedAtMs: 1_700_000_000_000 })
const foreign = createUploadState('another').pack({ name, id, offset: 99, startedAtMs: 0 })

fuzz(t, 'UploadStateTokens.unpack() of what we did not sign', {
  make: random => random.text([token, foreign]),
  // A decoder skips what is no base64: such a text still says what we signed, and nothing else.
  call: text => assert.equal(states.unpack(text, name, id), 12_345),
})

fuzz(t, 'UploadStateTokens.unpack() of what another program signed with our secret', {
  make: random =>
    random.text([
      `{"Name":"${name}","UUID":"${id}","Offset":12345,"StartedAt":"2026-01-01T00:00:00Z"}`,
      `{"Name":null,"UUID":[],"Offset":-1}`,
      '['.repeat(1000),
    ]),
  call(json) {
    const mac = createHmac('sha256', secret).update(json).digest()
    const offset = states.unpack(Buffer.concat([mac, Buffer.from(json)]).toString('base64url'), name, id)

    assert.ok(Number.isSafeInteger(offset) && offset >= 0)
  },
})

fuzz(t, 'parsePage()', {
  make: random =>
    random.text(['n=10&last=v1.2', 'n=0', 'last=%E2%82%AC&n=%31', 'n=1&n=2', 'n=-1', 'n[]=1&last']),
  call(query) {
    const { limit, after } = parsePage(contextOf(requestWith({}, `/v2/_catalog?${query}`)))

    assert.ok(limit === undefined || (Number.isSafeInteger(limit) && limit >= 0))
    assert.ok(after === undefined || typeof after === 'string')
  },
})
