import type { LookupAddress } from 'node:dns'
import t from 'tap'
import { createAddressGuard, isPublicAddress, type AddressGuard } from '../../lib/upstream/address-guard.ts'

const notPublic = [
  ['this network', '0.0.0.0', '0.1.2.3'],
  ['private', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fd00::1', 'fc00::1'],
  ['shared', '100.64.0.1', '100.127.255.255'],
  ['loopback', '127.0.0.1', '127.1.2.3', '::1'],
  ['link-local', '169.254.169.254', 'fe80::1', 'fe80::1%eth0'],
  ['protocols', '192.0.0.1', '2001::1', '2001:2::1'],
  ['documentation', '192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff::1'],
  ['benchmarks', '198.18.0.1', '198.19.255.255'],
  ['multicast', '224.0.0.1', '239.255.255.255', 'ff02::1'],
  ['reserved', '240.0.0.1', '255.255.255.255', '4000::1'],
  ['unspecified', '::'],
  ['mapped', '::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:a00:1', '::127.0.0.1'],
  ['translated', '64:ff9b::10.0.0.1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::808:808'],
  ['tunnelled', '2002:7f00:1::', '2002:c0a8:101::1'],
  ['none', '', 'localhost', '1.2.3', '08.8.8.8'],
] as const

t.test('isPublicAddress() is false for every address of special use', async t => {
  for (const [why, ...addresses] of notPublic) {
    for (const address of addresses) t.equal(isPublicAddress(address), false, `${why}: ${address}`)
  }
})

t.test('isPublicAddress() is true for addresses of the Internet, however written', async t => {
  for (const address of [
    ...['1.1.1.1', '8.8.8.8', '11.0.0.1', '100.63.255.255', '100.128.0.1', '172.15.0.1', '172.32.0.1'],
    ...['192.0.1.1', '198.17.0.1', '198.20.0.1', '223.255.255.255'],
    ...['2606:4700::1111', '2a00:1450::1', '2001:4860:4860::8888', '2002:808:808::1'],
    ...['::ffff:8.8.8.8', '::ffff:808:808', '64:ff9b::8.8.8.8'],
  ]) {
    t.equal(isPublicAddress(address), true, address)
  }
})

t.test('AddressGuard.check() refuses literal addresses and localhost in every form of a URL', async t => {
  const guard = createAddressGuard(['registry.test'])
  for (const host of [
    ...['127.0.0.1', '127.1', '2130706433', '0x7f000001', '017700000001', '127.0.0.1.', '[::1]', '0'],
    ...['[::ffff:127.0.0.1]', '10.0.0.1:5000', 'localhost', 'LOCALHOST', 'localhost.', 'a.localhost:80'],
  ]) {
    t.throws(() => guard.check(new URL(`http://${host}/`)), { name: 'AddressRefusedError' }, host)
  }
})

t.test('AddressGuard.check() leaves public addresses, names and whom it trusts', async t => {
  const guard = createAddressGuard(['LOCALHOST', '10.0.0.1:5000', '[fd00::1]:443', '::1', 'Registry.Test.'])
  for (const host of [
    ...['8.8.8.8', '[2606:4700::1111]', 'example.com', 'localhost.example.com'],
    ...['localhost:5000', 'localhost.', '10.0.0.1', '10.0.0.1:80', '[fd00::1]:5000', '[::1]', '0xa.1'],
  ]) {
    t.doesNotThrow(() => guard.check(new URL(`http://${host}/`)), host)
  }
  t.equal(guard.isTrusted('registry.test'), true)
  t.equal(guard.isTrusted('a.registry.test'), false)
})

t.test('AddressGuard.lookup() gives none but public addresses, and fails where there are none', async t => {
  const answers: Record<string, readonly string[]> = {
    'private.test': ['10.0.0.1', 'fd00::1'],
    'both.test': ['127.0.0.1', '8.8.8.8', '::1', '2606:4700::1111'],
    'empty.test': [],
  }
  const guard = createAddressGuard(['trusted.test'], (hostname, _options, callback) => {
    const addresses = hostname === 'trusted.test' ? ['10.0.0.1'] : answers[hostname]
    if (addresses === undefined)
      callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), undefined)
    else callback(null, addresses.map(toLookupAddress))
  })

  await t.rejects(lookup(guard, 'private.test', true), { name: 'AddressRefusedError', host: 'private.test' })
  await t.rejects(lookup(guard, 'private.test', false), { name: 'AddressRefusedError' })
  await t.rejects(lookup(guard, 'empty.test', true), { name: 'AddressRefusedError' })
  await t.rejects(lookup(guard, 'unknown.test', true), { code: 'ENOTFOUND' })
  t.same(await lookup(guard, 'both.test', true), [
    { address: '8.8.8.8', family: 4 },
    { address: '2606:4700::1111', family: 6 },
  ])
  t.same(await lookup(guard, 'both.test', false), ['8.8.8.8', 4])
  t.same(await lookup(guard, 'trusted.test', true), [{ address: '10.0.0.1', family: 4 }])
})

function toLookupAddress(address: string): LookupAddress {
  return { address, family: address.includes(':') ? 6 : 4 }
}

/** As a socket calls it: for all addresses, or for one and its family. */
function lookup(guard: AddressGuard, hostname: string, all: boolean): Promise<unknown> {
  return new Promise((resolve, reject) => {
    guard.lookup(hostname, { all }, (err, address, family) => {
      if (err) reject(err)
      else resolve(all ? address : [address, family])
    })
  })
}
