// Holds a body to its announced length. HTTP counts on it: a short body would leave the client waiting and a long one
// would be taken for the next answer, so that neither may end as if all were well.
import { Transform, pipeline, type Readable } from 'node:stream'

/**
 * The bytes of `source`, which is destroyed with the result. Errs if there are fewer than
 * `sizeBytes`, or, before anything beyond them is passed on, if there are more.
 */
export function exactly(source: Readable, sizeBytes: number): Readable {
  let passed = 0
  const counted = new Transform({
    readableHighWaterMark: 0,
    writableHighWaterMark: 0,
    transform(chunk: Buffer, _encoding, done) {
      passed += chunk.length
      if (passed > sizeBytes) done(wrongLength(sizeBytes, passed))
      else done(null, chunk)
    },
    flush(done) {
      done(passed === sizeBytes ? null : wrongLength(sizeBytes, passed))
    },
  })
  // The error reaches whoever reads the result.
  pipeline(source, counted, () => {})
  return counted
}

/** The same for a body that is small enough to be held at once. */
export async function readExactly(source: Readable, sizeBytes: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of source as AsyncIterable<Buffer>) {
    length += part.length
    if (length > sizeBytes) throw wrongLength(sizeBytes, length)
    parts.push(part)
  }
  if (length < sizeBytes) throw wrongLength(sizeBytes, length)
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, length)
}

/** Not an error of the protocol: whoever announced a length did not keep to it. */
function wrongLength(expectedBytes: number, foundBytes: number): Error {
  return new Error(`Cannot deliver content: expected ${expectedBytes} bytes, found ${foundBytes}`)
}
