// What a client sends first tells what it speaks. The bytes are put back, so that whoever serves it sees them.
import type { Socket } from 'node:net'
import type { Clock } from '../clock.ts'

/** Whose it is, as soon as its first bytes tell; undefined: not yet. */
export type Decide = (bytes: Buffer) => ((socket: Socket) => void) | undefined

export class FirstBytes {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #waiting = new Set<Socket>()

  /** Clients that keep silent for `timeoutMs` are sent away. */
  constructor({ clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number }) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  read(socket: Socket, decide: Decide): void {
    let bytes: Buffer = Buffer.alloc(0)
    const left = new AbortController()
    const give = () => socket.destroy()
    const look = () => {
      const chunk = socket.read() as Buffer | null
      if (chunk === null) return
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      const serve = decide(bytes)
      if (serve === undefined) return
      done()
      socket.unshift(bytes)
      serve(socket)
    }
    const done = () => {
      left.abort()
      this.#waiting.delete(socket)
      socket.off('readable', look).off('end', give).off('error', give).off('close', done)
    }
    this.#waiting.add(socket)
    socket.on('readable', look).on('end', give).on('error', give).on('close', done)
    this.#clock.sleep(this.#timeoutMs, { signal: left.signal }).then(give, () => {})
  }

  /** Ends the connections that have not told yet. */
  destroy(): void {
    for (const socket of this.#waiting) socket.destroy()
  }
}

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Whether these bytes begin a connection of HTTP/2; undefined: not enough of them. */
export function beginsHttp2(bytes: Buffer): boolean | undefined {
  const length = Math.min(bytes.length, preface.length)
  if (!bytes.subarray(0, length).equals(preface.subarray(0, length))) return false
  return length === preface.length ? true : undefined
}

/** Whether they begin with the method of an HTTP request, rather than with a handshake. */
export function beginsHttp(bytes: Buffer): boolean {
  const [first = 0] = bytes
  return first >= 0x41 && first <= 0x5a
}

/** The whole first record of a handshake, which is its ClientHello, has arrived; or it is none. */
export function hasClientHello(bytes: Buffer): boolean {
  const handshake = 22
  if (bytes[0] !== handshake) return true
  return bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)
}
