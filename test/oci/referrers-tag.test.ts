import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { referrersTag } from '../../lib/oci/referrers-tag.ts'

t.test('referrersTag() joins algorithm and hex, and cuts what would be no tag', async t => {
  const bytes = Buffer.from('subject')
  const long = digestOf(bytes, 'sha512')

  t.equal(referrersTag(digestOf(bytes)), digestOf(bytes).replace(':', '-'))
  t.equal(referrersTag(long), `sha512-${long.slice(7, 71)}`)
})
