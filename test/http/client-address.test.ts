import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import t from 'tap'
import { createProxyTrust, type TrustSettings } from '../../lib/http/client-address.ts'

type Headers = Readonly<Record<string, string>>

function requestFrom(remoteAddress: string | undefined, headers: Headers): IncomingMessage {
  const socket = new Socket()
  Object.defineProperty(socket, 'remoteAddress', { value: remoteAddress })
  return Object.assign(new IncomingMessage(socket), { headers })
}

function clientOf(peer: string | undefined, headers: Headers, settings: TrustSettings): string {
  return createProxyTrust(settings).clientOf(requestFrom(peer, headers))
}

t.test('ProxyTrust.clientOf() believes nobody unless proxies are named', async t => {
  const headers = { 'x-forwarded-for': '192.0.2.1', forwarded: 'for=192.0.2.2' }

  t.equal(clientOf('10.0.0.1', headers, { trustedProxies: undefined }), '10.0.0.1')
  t.equal(clientOf('10.0.0.1', headers, { trustedProxies: [] }), '10.0.0.1')
  t.equal(clientOf('::ffff:10.0.0.1', {}, { trustedProxies: undefined }), '10.0.0.1')
  t.equal(clientOf('fe80::1%eth0', {}, { trustedProxies: undefined }), 'fe80::1')
})

t.test('ProxyTrust.clientOf() is the rightmost that is no trusted proxy', async t => {
  const trustedProxies = ['10.0.0.0/8', '2001:db8::/32', '172.16.0.1']
  const table: readonly (readonly [peer: string, headers: Headers, client: string])[] = [
    ['192.0.2.9', { 'x-forwarded-for': '192.0.2.1' }, '192.0.2.9'],
    ['10.0.0.1', {}, '10.0.0.1'],
    ['10.0.0.1', { 'x-forwarded-for': '192.0.2.1' }, '192.0.2.1'],
    ['::ffff:10.0.0.1', { 'x-forwarded-for': '6.6.6.6, 192.0.2.1, 172.16.0.1' }, '192.0.2.1'],
    ['10.0.0.1', { 'x-forwarded-for': '10.0.0.3, 10.0.0.2' }, '10.0.0.3'],
    ['10.0.0.1', { 'x-forwarded-for': '192.0.2.1:8080' }, '192.0.2.1'],
    ['10.0.0.1', { 'x-forwarded-for': '[2001:db9::1]:80' }, '2001:db9::1'],
    ['10.0.0.1', { 'x-forwarded-for': '2001:db9::1' }, '2001:db9::1'],
    ['10.0.0.1', { 'x-forwarded-for': '6.6.6.6, unknown, 10.0.0.2' }, '10.0.0.2'],
    ['10.0.0.1', { 'x-forwarded-for': '6.6.6.6,' }, '10.0.0.1'],
    ['10.0.0.1', { forwarded: 'for=6.6.6.6, for="[2001:db8::1]:80";by=x' }, '6.6.6.6'],
    ['10.0.0.1', { forwarded: 'for=6.6.6.6, for' }, '10.0.0.1'],
    ['10.0.0.1', { forwarded: 'for=6.6.6.6', 'x-forwarded-for': '192.0.2.1' }, '192.0.2.1'],
    ['2001:db8::7', { 'x-forwarded-for': '192.0.2.1' }, '192.0.2.1'],
  ]
  for (const [peer, headers, client] of table) {
    t.equal(clientOf(peer, headers, { trustedProxies }), client, `${peer} ${JSON.stringify(headers)}`)
  }
})

t.test('ProxyTrust knows the words loopback and private', async t => {
  const headers = { 'x-forwarded-for': '192.0.2.1' }
  for (const peer of ['127.0.0.1', '::1', '192.168.7.7', 'fd00::1']) {
    t.equal(clientOf(peer, headers, { trustedProxies: ['loopback', 'private'] }), '192.0.2.1', peer)
  }
})

t.test('ProxyTrust trusts a peer without an address on a unix socket alone', async t => {
  const headers = { 'x-forwarded-for': '192.0.2.1' }

  t.equal(clientOf(undefined, headers, { trustedProxies: ['loopback'], isUnixSocket: true }), '192.0.2.1')
  t.equal(clientOf(undefined, headers, { trustedProxies: ['loopback'] }), '', 'a client that has left')
  t.equal(clientOf(undefined, headers, { trustedProxies: undefined, isUnixSocket: true }), '')
})

t.test('ProxyTrust.believes() everybody, or those that are named', async t => {
  const from = (peer: string) => requestFrom(peer, {})

  t.equal(createProxyTrust({ trustedProxies: undefined }).believes(from('192.0.2.1')), true)
  t.equal(createProxyTrust({ trustedProxies: ['10.0.0.0/8'] }).believes(from('192.0.2.1')), false)
  t.equal(createProxyTrust({ trustedProxies: ['10.0.0.0/8'] }).believes(from('10.1.1.1')), true)
})

t.test('createProxyTrust() refuses what is no network', async t => {
  for (const network of ['', 'proxy.example', '10.0.0.0/33', '10.0.0.0/', '::/129', '1.2.3.4/8/8']) {
    t.throws(() => createProxyTrust({ trustedProxies: [network] }), { message: /Cannot trust/ }, network)
  }
})
