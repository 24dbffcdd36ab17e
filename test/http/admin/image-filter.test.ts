import t from 'tap'
import { imageFilter } from '../../../lib/http/admin/image-filter.ts'

t.test('imageFilter() rejects an expression that is none', async t => {
  t.throws(() => imageFilter({ pattern: '/(/' }), SyntaxError)
})

t.test('imageFilter() finds words anywhere, and matches patterns as a whole', async t => {
  const images = [
    { repository: 'ghcr.io/team/app', tag: 'v3' },
    { repository: 'library/nginx', tag: '1.27' },
    { repository: 'library/nginx', tag: undefined },
  ]
  const cases: readonly (readonly [string | undefined, readonly number[]])[] = [
    [undefined, [0, 1, 2]],
    ['nginx', [1, 2]],
    ['nginx:1', [1]],
    ['team/app', [0]],
    ['library/*', [1, 2]],
    ['library/*:1.*', [1]],
    ['nginx*', []],
    ['/^ghcr[.]io//', [0]],
    ['/', [0, 1, 2]],
  ]
  for (const [pattern, wanted] of cases) {
    const found = [...images.keys()].filter(at =>
      images.filter(imageFilter({ pattern })).includes(images[at] as never),
    )
    t.same(found, wanted, String(pattern))
  }
})
