import t from 'tap'
import { chooseSuites } from '../../lib/tls/cipher-suites.ts'

t.test('chooseSuites() without names is the usual ones', async t => {
  const ciphers = chooseSuites([], 'tls1.2')

  t.match(ciphers, /TLS_AES_128_GCM_SHA256/)
  t.match(ciphers, /ECDHE-RSA-AES128-GCM-SHA256/)
  t.notMatch(ciphers, /AES128-SHA(:|$)|DES|(^|:)AES/)
})

t.test('chooseSuites() leaves TLS 1.3 its own, unless some are chosen', async t => {
  t.match(chooseSuites(['TLS_RSA_WITH_AES_128_CBC_SHA'], 'tls1.2'), /^TLS_[^]*:AES128-SHA$/)
  t.equal(chooseSuites(['TLS_AES_256_GCM_SHA384'], 'tls1.2'), 'TLS_AES_256_GCM_SHA384')
  t.notMatch(chooseSuites(['TLS_RSA_WITH_AES_128_CBC_SHA'], 'tls1.3'), /AES128-SHA$/)
})

t.test('chooseSuites() refuses names that it does not know', async t => {
  t.throws(() => chooseSuites(['ECDHE-RSA-AES128-SHA', 'toString'], 'tls1.2'), {
    message: /ECDHE-RSA-AES128-SHA, toString/,
  })
})
