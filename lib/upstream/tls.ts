// TLS towards an upstream, from texts in PEM. The authorities that are given stand beside those of the system: an
// upstream with a certificate of its own may well redirect to a host with a public one.
import { X509Certificate } from 'node:crypto'
import tls, { type SecureContext } from 'node:tls'

/** Texts in PEM. */
export interface TlsOptions {
  /** Further authorities, any number of certificates. */
  readonly ca?: string | undefined
  /** What this program shows of itself, with what it was signed by; together with `key`. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Whoever answers is believed to be the upstream. Default false. */
  readonly insecureSkipVerify?: boolean | undefined
}

/**
 * Reads certificates and keys once: parsing them for each connection would take longer than the connection. Throws
 * TypeError, without any of the texts in it, for what is none.
 */
export function createTlsContext({ ca, cert, key }: TlsOptions): SecureContext {
  if ((cert === undefined) !== (key === undefined)) {
    throw new TypeError('Cannot use client certificate: expected certificate and key')
  }
  try {
    // createSecureContext() takes a text without any certificate for no further authority.
    if (ca !== undefined) new X509Certificate(ca)
    return tls.createSecureContext({
      ...(ca === undefined ? {} : { ca: [...systemAuthorities(), ca] }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    })
  } catch (err) {
    const code = err instanceof Error && 'code' in err ? String(err.code) : 'not PEM'
    throw new TypeError(`Cannot use certificates: ${code}`)
  }
}

/** Newer Nodes tell also those of NODE_EXTRA_CA_CERTS. */
function systemAuthorities(): readonly string[] {
  const { getCACertificates } = tls as { getCACertificates?: (type: 'default') => readonly string[] }
  return getCACertificates?.('default') ?? tls.rootCertificates
}
