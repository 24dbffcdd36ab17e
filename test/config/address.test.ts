import t from 'tap'
import { parseAddress } from '../../lib/config/address.ts'

t.test('parseAddress() rejects what Go could not listen on', async t => {
  for (const text of [
    '5000',
    'localhost',
    '::1',
    ':::5000',
    '[::1]',
    'a b:1',
    ':65536',
    ':-1',
    ':http',
    'http://x:1',
    'x/y:1',
  ]) {
    t.equal(parseAddress(text), undefined, text)
  }
})

t.test('parseAddress() splits host and port', async t => {
  t.same(parseAddress(''), { host: '', port: 0 })
  t.same(parseAddress(':5000'), { host: '', port: 5000 })
  t.same(parseAddress('127.0.0.1:0'), { host: '127.0.0.1', port: 0 })
  t.same(parseAddress('localhost:65535'), { host: 'localhost', port: 65_535 })
  t.same(parseAddress('[::1]:5000'), { host: '::1', port: 5000 })
  t.same(parseAddress('[fe80::1%eth0]:80'), { host: 'fe80::1%eth0', port: 80 })
})
