// A client of HTTP/2 that sends the frames that a test wants and shows those that come: Node's own client says goodbye
// more politely than others do.
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Test } from 'tap'
import { until } from './until.ts'

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export const frameTypes = { data: 0, headers: 1, rstStream: 3, settings: 4, goaway: 7 }
export const endStream = 1
const endHeaders = 4

export async function openRawHttp2(t: Test, url: string, options: { readonly allowHalfOpen?: boolean } = {}) {
  const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', ...options })
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  const frames: Frame[] = []
  let rest: Buffer = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (; rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3);) {
      const end = 9 + rest.readUIntBE(0, 3)
      const [type = 0, flags = 0] = rest.subarray(3, 5)
      frames.push({ type, flags, stream: rest.readUInt32BE(5), payload: rest.subarray(9, end) })
      rest = rest.subarray(end)
    }
  })
  const send = (type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)) => {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head.set([type, flags], 3)
    head.writeUInt32BE(stream, 5)
    socket.write(Buffer.concat([head, payload]))
  }
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  send(frameTypes.settings, 0, 0)
  return {
    socket,
    frames,
    /** A request whose body follows. */
    begin(stream: number, method: string, path: string, headers: Readonly<Record<string, string>> = {}) {
      const all = { ':method': method, ':scheme': 'http', ':authority': 'h', ':path': path, ...headers }
      send(frameTypes.headers, endHeaders, stream, Buffer.concat(Object.entries(all).map(literal)))
    },
    data: (stream: number, content: string, flags = 0) =>
      send(frameTypes.data, flags, stream, Buffer.from(content)),
    reset: (stream: number, code: number) =>
      send(frameTypes.rstStream, 0, stream, Buffer.from([0, 0, 0, code])),
    /** Resolves with all frames of a stream when one of them is of `type`. */
    async until(stream: number, type: number): Promise<readonly Frame[]> {
      const own = () => frames.filter(frame => frame.stream === stream)
      await until(() => own().some(frame => frame.type === type))
      return own()
    },
  }
}

/** RFC 7541, 6.2.2: a header that no table remembers. */
function literal([name, value]: readonly [string, string]): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ])
}
