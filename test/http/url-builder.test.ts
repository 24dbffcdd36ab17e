import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import t from 'tap'
import { parseForwarded, parseForwardedElements } from '../../lib/http/forwarded.ts'
import { createUrlBuilder, type UrlSettings } from '../../lib/http/url-builder.ts'
import { parseDigest } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { sha256 } from '../support/http-client.ts'

const digest = parseDigest(sha256(''))
const name = parseRepositoryName('foo/bar')

function urlFor(headers: Readonly<Record<string, string>>, settings: Partial<UrlSettings> = {}): string {
  const urls = createUrlBuilder({ host: undefined, prefix: '', relativeUrls: false, ...settings })
  const req = Object.assign(new IncomingMessage(new Socket()), { headers })
  return urls.blob(req, name, digest).replace(`/v2/foo/bar/blobs/${digest}`, '')
}

t.test('UrlBuilder never writes what is not a host', async t => {
  for (const host of ['', 'a b', 'evil/path', 'a"b', 'user@host', 'a:b', 'a\r\nX: y', '[zz]']) {
    t.equal(urlFor({ host }), '', JSON.stringify(host))
    t.equal(
      urlFor({ host: 'h', 'x-forwarded-host': host }),
      host === '' ? 'http://h' : '',
      `forwarded ${host}`,
    )
  }
  t.equal(urlFor({ host: 'h', 'x-forwarded-proto': 'javascript' }), 'http://h')
})

t.test('UrlBuilder prefers http.host, then Forwarded, then X-Forwarded-*, then Host', async t => {
  const forwarded = { forwarded: 'for=1.2.3.4; proto=https; host="f.example:8443", for=5.6.7.8;host=second' }
  const xForwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'x.example, second' }
  const host = { host: 'h.example:5000' }

  t.equal(urlFor(host), 'http://h.example:5000')
  t.equal(urlFor({ host: '[::1]:5000' }), 'http://[::1]:5000')
  t.equal(urlFor({ ...host, ...xForwarded }), 'https://x.example')
  t.equal(urlFor({ ...host, ...xForwarded, ...forwarded }), 'https://f.example:8443')
  t.equal(urlFor({ ...host, ...xForwarded, forwarded: 'proto=https' }), 'https://h.example:5000')
  t.equal(urlFor({ ...host, ...forwarded }, { host: new URL('https://ext.example/') }), 'https://ext.example')
})

t.test('UrlBuilder: a malformed Forwarded disables X-Forwarded-* as well', async t => {
  const xForwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'x.example' }

  t.equal(urlFor({ host: 'h', ...xForwarded, forwarded: 'proto=https;host' }), 'http://h')
})

t.test('UrlBuilder keeps the prefix, also relative, but http.host is the whole outside address', async t => {
  const prefix = '/my/reg'

  t.equal(urlFor({ host: 'h' }, { prefix }), 'http://h/my/reg')
  t.equal(urlFor({ host: 'h' }, { prefix, relativeUrls: true }), '/my/reg')
  t.equal(urlFor({ host: 'h' }, { prefix, host: new URL('https://ext/base/') }), 'https://ext/base')
})

t.test('parseForwarded() reads the first element and refuses what is not the grammar', async t => {
  t.equal(parseForwarded('proto'), undefined)
  t.equal(parseForwarded('host="unclosed'), undefined)
  t.equal(parseForwarded(' = '), undefined)
  t.same(parseForwarded('for=x'), { for: 'x' })
  t.same(parseForwarded('for=x;'), { for: 'x' })
  t.same(parseForwarded('Proto=HTTPS;Host="a\\"b"'), { proto: 'https', host: 'a"b' })
  t.same(parseForwarded('host=a.example:80, host=b'), { host: 'a.example:80' })
  t.same(parseForwardedElements('for="[2001:db8::1]:80";proto=http, for=_x'), [
    { for: '[2001:db8::1]:80', proto: 'http' },
    { for: '_x' },
  ])
  t.same(parseForwardedElements('for=a, b'), [])
})
