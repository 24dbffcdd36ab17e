import fc from 'fast-check'
import t from 'tap'
import { isRepositoryName, parseRepositoryName } from '../../lib/oci/repository-name.ts'

const badComponent = 'invalid repository name component'

t.test('parseRepositoryName() rejects what the grammar does not know and says why', async t => {
  const cases: readonly (readonly [text: string, detail: string])[] = [
    ['', 'repository name is empty'],
    ['a'.repeat(256), 'repository name is longer than 255 characters'],
    [`${'a/'.repeat(127)}ab`, 'repository name is longer than 255 characters'],
    ['/', badComponent],
    ['/a', badComponent],
    ['a/', badComponent],
    ['a//b', badComponent],
    ['.', badComponent],
    ['..', badComponent],
    ['a/..', badComponent],
    ['a/../b', badComponent],
    ['a/./b', badComponent],
    ['A', badComponent],
    ['a/B', badComponent],
    ['a/B.example/c', badComponent],
    ['a..b', badComponent],
    ['a._b', badComponent],
    ['a___b', badComponent],
    ['-a', badComponent],
    ['a-', badComponent],
    ['_a', badComponent],
    ['a_', badComponent],
    ['a/_layers', badComponent],
    ['a/_manifests/b', badComponent],
    ['localhost:5000/a', badComponent],
    ['[::1]/a', badComponent],
    ['-host/a', badComponent],
    ['host-/a', badComponent],
    ['Host..example/a', badComponent],
    ['a b', badComponent],
    ['a%2fb', badComponent],
    ['a\\b', badComponent],
    ['a\n', badComponent],
    ['a\0', badComponent],
    ['é', badComponent],
    ['sha256:abc', badComponent],
  ]
  for (const [text, detail] of cases) {
    t.throws(
      () => parseRepositoryName(text),
      { name: 'RegistryError', code: 'NAME_INVALID', detail },
      JSON.stringify(text.slice(0, 20)),
    )
    t.equal(isRepositoryName(text), false)
  }
})

t.test('parseRepositoryName() returns a valid name unchanged', async t => {
  const names = [
    'a',
    '0',
    'library/nginx',
    'a/b/c/d/e/f',
    'a.b',
    'a_b',
    'a__b',
    'a-b',
    'a--b',
    'a---b',
    'a-b_c.d__e',
    'EXAMPLE.com/a',
    'Example/a',
    'ghcr.io/owner/name',
    'a/blobs/b',
    'a/manifests/tags/list',
    'x'.repeat(255),
    `${'a/'.repeat(127)}a`,
  ]
  for (const name of names) {
    t.equal(parseRepositoryName(name), name)
    t.equal(isRepositoryName(name), true)
  }
})

const word = fc.string({ unit: fc.constantFrom(...'abcxyz0189'), minLength: 1, maxLength: 6 })
const separator = fc.constantFrom('.', '_', '__', '-', '--', '----')
const component = fc
  .tuple(word, fc.array(fc.tuple(separator, word), { maxLength: 3 }))
  .map(([first, rest]) => first + rest.map(([between, next]) => between + next).join(''))
const name = fc.array(component, { minLength: 1, maxLength: 6 }).map(components => components.join('/'))

t.test('parseRepositoryName() accepts every sentence of the grammar up to 255 characters', async t => {
  const property = fc.property(name, text => isRepositoryName(text) === text.length <= 255)

  t.doesNotThrow(() => fc.assert(property))
})

t.test('isRepositoryName() lets nothing through that is not safe as path parts', async t => {
  const mixed = fc.string({ unit: fc.constantFrom(...'ab0AZ._-/:%\\ \n'), maxLength: 24 })
  const property = fc.property(
    mixed,
    text =>
      !isRepositoryName(text) ||
      text
        .split('/')
        .every(part => /^[A-Za-z0-9]/.test(part) && /^[A-Za-z0-9._-]+$/.test(part) && !part.includes('..')),
  )

  t.doesNotThrow(() => fc.assert(property, { numRuns: 2_000 }))
})

t.test('isRepositoryName() judges the longest hostile names at once', async t => {
  const hostile = [`${'a-'.repeat(126)}/!`, `${'A'.repeat(252)}/_`, 'a_'.repeat(126), `${'A.'.repeat(126)}/-`]

  const startedAt = process.hrtime.bigint()
  const verdicts = hostile.map(text => isRepositoryName(text))

  t.same(verdicts, [false, false, false, false])
  t.ok(process.hrtime.bigint() - startedAt < 1_000_000_000n, 'no catastrophic backtracking')
})
