import t from 'tap'
import { pageOf } from '../../lib/registry/page.ts'

const all = ['a', 'b', 'c', 'd']

for (const [what, page, expected] of [
  ['everything without a limit', {}, { items: all, more: false }],
  ['nothing for a limit of 0, and no further page', { limit: 0 }, { items: [], more: false }],
  ['a page that is not full, the last', { limit: 5 }, { items: all, more: false }],
  ['a page that is exactly full, with maybe more', { limit: 4 }, { items: all, more: true }],
  ['what comes after an item', { limit: 2, after: 'b' }, { items: ['c', 'd'], more: true }],
  ['what comes after an item that is absent', { limit: 2, after: 'bb' }, { items: ['c', 'd'], more: true }],
  ['nothing after the last', { limit: 2, after: 'd' }, { items: [], more: false }],
  ['everything after an empty text', { limit: 9, after: '' }, { items: all, more: false }],
  ['the rest without a limit', { after: 'c' }, { items: ['d'], more: false }],
] as const) {
  void t.test(`pageOf() gives ${what}`, async t => {
    t.same(pageOf(all, page), expected)
  })
}
