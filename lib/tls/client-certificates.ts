// Who must show a certificate, and which. A certificate that was not verified says nothing about who shows it: only
// where `socket.authorized` is true may anybody be known by theirs.
import type { TLSSocket } from 'node:tls'
import type { TlsConfig } from '../config/config.ts'

export type ClientAuth = TlsConfig['clientauth']

/** What of it the handshake does itself. */
export function clientAuthOptions(mode: ClientAuth): {
  readonly requestCert: boolean
  readonly rejectUnauthorized: boolean
} {
  return { requestCert: mode !== undefined, rejectUnauthorized: mode === 'require-and-verify-client-cert' }
}

/** What is left to decide after the handshake. */
export function mayStay(socket: TLSSocket, mode: ClientAuth): boolean {
  switch (mode) {
    case undefined:
    case 'request-client-cert':
      return true
    case 'require-any-client-cert':
      return hasCertificate(socket)
    case 'verify-client-cert-if-given':
      return socket.authorized || !hasCertificate(socket)
    case 'require-and-verify-client-cert':
      return socket.authorized
  }
}

function hasCertificate(socket: TLSSocket): boolean {
  return socket.getPeerX509Certificate() !== undefined
}
