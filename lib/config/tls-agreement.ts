// What the keys below http.tls must agree on, and which of them then count for nothing.
import { show, valueAt, type Problem } from './problems.ts'
import { flag, isEmpty } from './schema.ts'

/** Go's names of all that may be chosen; those of TLS 1.3 are always on. Source: crypto/tls. */
export const cipherSuites: readonly string[] = [
  ...[
    '3DES_EDE_CBC_SHA',
    'AES_128_CBC_SHA',
    'AES_256_CBC_SHA',
    'AES_128_GCM_SHA256',
    'AES_256_GCM_SHA384',
  ].map(suite => `TLS_RSA_WITH_${suite}`),
  ...['ECDHE_RSA', 'ECDHE_ECDSA'].flatMap(exchange =>
    [
      ...['AES_128_CBC_SHA', 'AES_256_CBC_SHA', 'AES_128_GCM_SHA256', 'AES_256_GCM_SHA384'],
      'CHACHA20_POLY1305_SHA256',
    ].map(suite => `TLS_${exchange}_WITH_${suite}`),
  ),
  'TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA',
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
]

const above = ['http', 'tls']

export function* tlsProblems(tree: unknown): Generator<Problem> {
  const has = (...keys: readonly string[]) => isGiven(tree, ...keys)
  const found = (...keys: readonly string[]) => ({
    path: [...above, ...keys],
    found: show(valueAt(tree, [...above, ...keys])),
  })
  const isAcme = has('letsencrypt', 'cachefile')
  if (has('certificate') && !has('key'))
    yield { ...found('key'), expected: 'a file, because there is a certificate' }
  if (has('key') && !has('certificate'))
    yield { ...found('certificate'), expected: 'a file, because there is a key' }
  if (has('certificate') && isAcme)
    yield { ...found('letsencrypt', 'cachefile'), expected: 'nothing, because there is a certificate' }
  if (isAcme && !has('letsencrypt', 'hosts'))
    yield { ...found('letsencrypt', 'hosts'), expected: 'the names that certificates may be asked for' }
  // Everybody would be let in who should have shown a certificate.
  if (has('clientcas') && !isAcme && !has('certificate'))
    yield { ...found('clientcas'), expected: 'nothing, because there is no TLS without a certificate' }
  for (const [index, suite] of suitesIn(tree)) {
    if (typeof suite !== 'string' || cipherSuites.includes(suite)) continue
    yield {
      path: [...above, 'ciphersuites', index],
      found: show(suite),
      expected: 'the name of a cipher suite such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
    }
  }
}

export function* tlsRemarks(tree: unknown): Generator<string> {
  const isAcme = isGiven(tree, 'letsencrypt', 'cachefile')
  if (isGiven(tree, 'letsencrypt') && !isAcme)
    yield 'http.tls.letsencrypt has no effect: there is no cachefile'
  if (isGiven(tree, 'clientauth') && !isGiven(tree, 'clientcas'))
    yield 'http.tls.clientauth has no effect: there are no clientcas'
  if (suitesIn(tree).length > 0 && valueAt(tree, [...above, 'minimumtls']) === 'tls1.3')
    yield 'http.tls.ciphersuites has no effect: those of tls1.3 cannot be chosen'
  const isH2c = flag.safeParse(valueAt(tree, ['http', 'h2c', 'enabled'])).data === true
  if (isH2c && (isAcme || isGiven(tree, 'certificate')))
    yield 'http.h2c has no effect: it is HTTP/2 without TLS, and there is a certificate'
}

function suitesIn(tree: unknown): readonly (readonly [number, unknown])[] {
  const given = valueAt(tree, [...above, 'ciphersuites'])
  if (isEmpty(given)) return []
  return [...(Array.isArray(given) ? (given as readonly unknown[]) : [given]).entries()]
}

function isGiven(tree: unknown, ...keys: readonly string[]): boolean {
  return !isEmpty(valueAt(tree, [...above, ...keys]))
}
