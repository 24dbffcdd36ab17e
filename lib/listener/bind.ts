// Where a server listens: an address, a unix socket, or a socket that the service manager has opened.
import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { parseAddress } from '../config/address.ts'

export interface Place {
  /** `host:port`, or a path for `unix`. */
  readonly addr: string
  readonly net: 'tcp' | 'unix'
  /** A descriptor of a socket that listens already: used instead of `addr`. */
  readonly listenFd?: number | undefined
}

/** Rejects, and listens nowhere, where that is impossible. */
export async function bind(server: Server, { addr, net, listenFd }: Place): Promise<void> {
  try {
    if (listenFd !== undefined) server.listen({ fd: listenFd })
    else if (net === 'unix') {
      await removeStaleSocket(addr)
      server.listen({ path: addr })
    } else {
      const address = parseAddress(addr)
      if (address === undefined) throw new TypeError('not of the form host:port')
      const { host, port } = address
      server.listen(host === '' ? { port } : { host, port })
    }
    await once(server, 'listening')
  } catch (cause) {
    server.close()
    const place = listenFd === undefined ? `"${addr}"` : `descriptor ${listenFd}`
    throw new Error(`Cannot listen on ${place}: ${reasonOf(cause)}`, { cause })
  }
}

/** `address` is where it really listens; `url` is for clients on this machine. */
export function whereabouts(
  server: Server,
  protocol: 'http' | 'https',
): { readonly address: string; readonly url: string } {
  const bound = server.address()
  if (bound === null) throw new TypeError('the server does not listen')
  if (typeof bound === 'string') return { address: bound, url: `unix:${bound}` }
  const { address, port, family } = bound
  const host = family === 'IPv6' ? `[${address}]` : address
  const isEverywhere = address === '::' || address === '0.0.0.0'
  return {
    address: `${host}:${port}`,
    url: `${protocol}://${isEverywhere ? '127.0.0.1' : host}:${port}`,
  }
}

/** A socket that nobody answers on is what a killed process left behind. Anything else is not ours to remove. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket()) throw new Error('a file that is not a socket is in the way')
  const probe = connect(path)
  try {
    await once(probe, 'connect')
  } catch {
    return await unlink(path)
  } finally {
    probe.destroy()
  }
  throw new Error('another process listens there')
}

function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException
  return reasons.get(code ?? '') ?? message
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'the address is in use'],
  ['EADDRNOTAVAIL', 'the address is not one of this machine'],
  ['EACCES', 'permission denied'],
  ['ENOTFOUND', 'the host name is unknown'],
])
