import t from 'tap'
import { nearest } from '../../lib/config/nearest.ts'

const words = ['addr', 'debug', 'draintimeout', 'headers', 'host', 'net', 'prefix', 'tls']

t.test('nearest() names no word where none is near', async t => {
  t.equal(nearest('x', []), undefined)
  t.equal(nearest('completelydifferent', words), undefined)
})

t.test('nearest() finds a word behind typing mistakes', async t => {
  const cases = {
    add: 'addr',
    adrr: 'addr',
    header: 'headers',
    HOST: 'host',
    perfix: 'prefix',
    tsl: 'tls',
    drain_timeout: 'draintimeout',
  }
  for (const [written, meant] of Object.entries(cases)) t.equal(nearest(written, words), meant, written)
})
