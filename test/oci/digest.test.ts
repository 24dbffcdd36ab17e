import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { algorithmOf, digestOf, Hasher, hexOf, isDigest, parseDigest } from '../../lib/oci/digest.ts'

const a64 = 'a'.repeat(64)
const a128 = 'a'.repeat(128)

t.test('parseDigest() rejects what is no digest and says why', async t => {
  const cases: readonly (readonly [text: string, detail: string, why: string])[] = [
    ['', 'invalid checksum digest format', 'empty'],
    ['sha256', 'invalid checksum digest format', 'no colon'],
    ['sha256:', 'invalid checksum digest format', 'no hex'],
    [`:${a64}`, 'invalid checksum digest format', 'no algorithm'],
    [`SHA256:${a64}`, 'invalid checksum digest format', 'upper-case algorithm'],
    [`sha256:${a64}\n`, 'invalid checksum digest format', 'line feed at the end'],
    [` sha256:${a64}`, 'invalid checksum digest format', 'blank at the start'],
    [`sha256:${'A'.repeat(64)}`, 'invalid checksum digest format', 'upper-case hex'],
    [`sha256:${'g'.repeat(64)}`, 'invalid checksum digest format', 'not hex'],
    [`sha256:../../${'a'.repeat(58)}`, 'invalid checksum digest format', 'path traversal'],
    [`sha256:${'a'.repeat(63)}`, 'invalid checksum digest length', 'one short'],
    [`sha256:${'a'.repeat(65)}`, 'invalid checksum digest length', 'one long'],
    [`sha512:${a64}`, 'invalid checksum digest length', 'sha512 as long as sha256'],
    [`md5:${'a'.repeat(32)}`, 'unsupported digest algorithm', 'md5'],
    [`sha384:${'a'.repeat(96)}`, 'unsupported digest algorithm', 'sha384'],
    [
      `multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8`,
      'unsupported digest algorithm',
      'other',
    ],
    [`sha256:${'a'.repeat(100_000)}`, 'invalid checksum digest format', 'endless'],
  ]
  for (const [text, detail, why] of cases) {
    t.throws(() => parseDigest(text), { name: 'RegistryError', code: 'DIGEST_INVALID', detail }, why)
    t.equal(isDigest(text), false, `isDigest() agrees: ${why}`)
  }
})

t.test('parseDigest() keeps a message short whatever it is given', async t => {
  try {
    parseDigest('x'.repeat(100_000))
    t.fail('expected an error')
  } catch (error) {
    t.ok(error instanceof Error && error.message.length < 300)
  }
})

t.test('parseDigest() returns a valid digest unchanged', async t => {
  for (const text of [`sha256:${a64}`, `sha512:${a128}`]) {
    t.equal(parseDigest(text), text)
    t.equal(isDigest(text), true)
  }
})

t.test('parseDigest() accepts exactly what digestOf() makes, for any bytes', async t => {
  fc.assert(
    fc.property(
      fc.uint8Array(),
      fc.constantFrom('sha256' as const, 'sha512' as const),
      (bytes, algorithm) => {
        const digest = digestOf(bytes, algorithm)
        return (
          parseDigest(digest) === digest &&
          algorithmOf(digest) === algorithm &&
          hexOf(digest) === createHash(algorithm).update(bytes).digest('hex')
        )
      },
    ),
  )
  t.equal(digestOf(Buffer.of()), 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  t.equal(
    digestOf(Buffer.from('{}')),
    'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
  )
})

t.test('parseDigest() lets no text through that could leave its path part', async t => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      text => !isDigest(text) || /^sha(256|512):[0-9a-f]+$/.test(text),
    ),
  )
  const mixed = fc.string({ unit: fc.constantFrom(...'sha256512:abcdef0123456789/.\n+-') })
  const property = fc.property(
    mixed,
    text => isDigest(`sha256:${text}`) === /^[0-9a-f]{64}(?!\n)$/.test(text),
  )

  t.doesNotThrow(() => fc.assert(property))
})

t.test('Hasher.digest() does not depend on how the bytes were cut', async t => {
  const property = fc.property(
    fc.array(fc.uint8Array()),
    fc.constantFrom('sha256' as const, 'sha512' as const),
    (chunks, algorithm) => {
      const hasher = new Hasher(algorithm)
      for (const chunk of chunks) hasher.update(chunk)
      const whole = Buffer.concat(chunks)
      return hasher.digest() === digestOf(whole, algorithm) && hasher.bytesHashed === whole.length
    },
  )

  t.doesNotThrow(() => fc.assert(property))
})

t.test('Hasher.digest() leaves the hasher usable', async t => {
  const hasher = new Hasher()

  hasher.update(Buffer.from('one'))
  const first = hasher.digest()
  hasher.update(Buffer.from('two'))

  t.equal(first, digestOf(Buffer.from('one')))
  t.equal(hasher.digest(), digestOf(Buffer.from('onetwo')))
  t.equal(hasher.algorithm, 'sha256')
  t.equal(hasher.bytesHashed, 6)
})
