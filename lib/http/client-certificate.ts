// Who a client is by its certificate, if the listener has asked for one and verified it.
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

/** What was found on a connection: it does not change while that lasts. */
const known = new WeakMap<Socket, { readonly name: string | undefined }>()

/** The common name of the subject; undefined where there is no certificate, or none to trust, or no single name. */
export function verifiedName(socket: Socket): string | undefined {
  const { authorized } = socket as Partial<TLSSocket>
  if (authorized !== true) return undefined
  const found = known.get(socket)
  if (found !== undefined) return found.name
  const name = nameIn(socket as unknown as Pick<TLSSocket, 'getPeerCertificate'>)
  known.set(socket, { name })
  return name
}

function nameIn(socket: Pick<TLSSocket, 'getPeerCertificate'>): string | undefined {
  // Several names of one kind are a list, which the types do not tell. Without a certificate there is no subject.
  const { subject } = socket.getPeerCertificate() as { readonly subject?: { readonly CN?: unknown } }
  const name = subject?.CN
  return typeof name === 'string' && name !== '' ? name : undefined
}
