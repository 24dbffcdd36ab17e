// Cipher suites by the names that configuration files use, which are those of the IANA, in the words of OpenSSL.

/**
 * What they are to Node. None means the usual ones, and so does any where only TLS 1.3 is spoken: its suites are all
 * good, and cannot be chosen. Throws RangeError for a name that is unknown.
 */
export function chooseSuites(names: readonly string[], minimum: 'tls1.2' | 'tls1.3'): string {
  const unknown = names.filter(name => !isSuite(name))
  if (unknown.length > 0) {
    throw new RangeError(`Cannot use cipher suites ${unknown.join(', ')}: expected ${suiteNames.join(', ')}`)
  }
  const modern = Object.values(tls13)
  if (minimum === 'tls1.3') return modern.join(':')
  if (names.length === 0) return [...modern, ...usual].join(':')
  // Without any of TLS 1.3 its own stay: a version without suites would refuse everybody who prefers it.
  const isModern = names.some(name => name in tls13)
  return [...(isModern ? [] : modern), ...names.map(name => all[name])].join(':')
}

export function isSuite(name: string): boolean {
  return Object.hasOwn(all, name)
}

const tls13: Readonly<Record<string, string>> = {
  TLS_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
}

const all: Readonly<Record<string, string>> = {
  ...tls13,
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA: 'ECDHE-RSA-DES-CBC3-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_3DES_EDE_CBC_SHA: 'DES-CBC3-SHA',
}

export const suiteNames: readonly string[] = Object.keys(all)

const usual: readonly string[] = Object.values(all).filter(name =>
  /^ECDHE-(?:RSA|ECDSA)-(?:AES\d+-GCM|CHACHA20)/.test(name),
)
