import fc from 'fast-check'
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import {
  digestReference,
  formatReference,
  isTag,
  parseReference,
  parseTag,
  tagReference,
} from '../../lib/oci/reference.ts'

const digest = digestOf(Buffer.from('{}'))

t.test('parseTag() rejects what is no tag', async t => {
  const texts = [
    '',
    '.',
    '..',
    '.a',
    '-a',
    'a/b',
    'a:b',
    'a b',
    'a+b',
    'a\n',
    'é',
    'a'.repeat(129),
    '../x',
    'a%2f',
  ]
  for (const text of texts) {
    t.throws(
      () => parseTag(text),
      { name: 'RegistryError', code: 'TAG_INVALID' },
      JSON.stringify(text.slice(0, 9)),
    )
    t.equal(isTag(text), false)
  }
})

t.test('parseTag() returns a valid tag unchanged', async t => {
  for (const text of [
    'latest',
    '1.27',
    '_',
    '_a',
    'A',
    'v1.0.0-rc.1',
    'a..b',
    'sha256-abc.sig',
    'a'.repeat(128),
  ]) {
    t.equal(parseTag(text), text)
    t.equal(isTag(text), true)
  }
})

t.test('isTag() lets nothing through that is not safe as one path part', async t => {
  const mixed = fc.string({ unit: fc.constantFrom(...'aZ0_.-/:\\ \n%'), maxLength: 12 })
  const property = fc.property(
    mixed,
    text => isTag(text) === (/^\w/.test(text) && [...text].every(char => /[\w.-]/.test(char))),
  )

  t.doesNotThrow(() => fc.assert(property, { numRuns: 1_000 }))
})

t.test('parseReference() takes a text with a colon for a digest and nothing else', async t => {
  t.throws(() => parseReference('sha256:abc'), { code: 'DIGEST_INVALID' })
  t.throws(() => parseReference('latest:'), { code: 'DIGEST_INVALID' })
  t.throws(() => parseReference(''), { code: 'TAG_INVALID' })
  t.throws(() => parseReference('a@b'), { code: 'TAG_INVALID' })

  t.same(parseReference('latest'), { kind: 'tag', tag: 'latest' })
  t.same(parseReference(digest), { kind: 'digest', digest })
  t.same(parseReference(digest.replace(':', '-')), { kind: 'tag', tag: digest.replace(':', '-') })
})

t.test('formatReference() writes what parseReference() reads', async t => {
  for (const text of ['latest', digest]) t.equal(formatReference(parseReference(text)), text)
  t.same(digestReference(digest), parseReference(digest))
  t.same(tagReference(parseTag('1.0')), parseReference('1.0'))
})
