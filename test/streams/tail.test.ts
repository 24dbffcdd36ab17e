// Reading content that grows, stops growing, fails, or whose reader leaves.
import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { abortable } from '../../lib/keyed-lock.ts'
import type { CallOptions } from '../../lib/oci/descriptor.ts'
import { tail, type GrowingContent } from '../../lib/streams/tail.ts'

/** Content in memory that a test lets grow. */
class Growing implements GrowingContent {
  reads = 0
  waiting = 0
  #bytes = Buffer.alloc(0)
  #isComplete = false
  #failure: Error | undefined
  #wake: (() => void)[] = []

  append(text: string | Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, Buffer.from(text)])
    this.#changed()
  }

  complete(): void {
    this.#isComplete = true
    this.#changed()
  }

  fail(err: Error): void {
    this.#failure = err
    this.#changed()
  }

  async waitBeyond(position: number, { signal }: CallOptions = {}): Promise<number> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      if (this.#bytes.length > position || this.#isComplete) return this.#bytes.length
      this.waiting++
      try {
        await abortable(new Promise<void>(resolve => this.#wake.push(resolve)), signal)
      } finally {
        this.waiting--
      }
    }
  }

  async readAt(position: number, maxBytes: number): Promise<Buffer> {
    this.reads++
    return this.#bytes.subarray(position, position + maxBytes)
  }

  #changed(): void {
    for (const resume of this.#wake.splice(0)) resume()
  }
}

const whole = { start: 0, end: undefined }

function closes(): { readonly onClose: () => void; readonly count: () => number } {
  let count = 0
  return { onClose: () => void count++, count: () => count }
}

t.test('tail() errs with what the content failed with, after what there was', async t => {
  const content = new Growing()
  const { onClose, count } = closes()
  content.append('abc')
  const stream = tail(content, whole, { onClose })
  const seen: string[] = []
  const reading = (async () => {
    for await (const chunk of stream) seen.push(String(chunk))
  })()
  while (content.waiting === 0) await turn()

  content.fail(new Error('broken'))

  await t.rejects(reading, { message: 'broken' })
  t.same(seen, ['abc'])
  t.equal(count(), 1)
})

t.test('tail() errs when reading fails', async t => {
  const content = new Growing()
  const { onClose, count } = closes()
  content.append('abc')
  content.readAt = () => Promise.reject(new Error('disk'))

  await t.rejects(buffer(tail(content, whole, { onClose })), { message: 'disk' })

  t.equal(count(), 1)
})

t.test('tail() wraps what is thrown and is no Error', async t => {
  const content = new Growing()
  content.append('abc')
  // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what foreign code may do
  content.readAt = () => Promise.reject('text')

  await t.rejects(buffer(tail(content, whole)), { message: 'Cannot read', cause: 'text' })
})

t.test('tail() errs with an AbortError when it is aborted while it waits', async t => {
  const content = new Growing()
  const { onClose, count } = closes()
  const leaving = new AbortController()
  const reading = buffer(tail(content, whole, { onClose, signal: leaving.signal }))
  while (content.waiting === 0) await turn()

  leaving.abort(new Error('gone'))

  await t.rejects(reading, { name: 'AbortError', cause: { message: 'gone' } })
  while (content.waiting > 0) await turn()
  t.equal(count(), 1)
})

t.test('tail() errs with an AbortError when its signal was aborted before', async t => {
  const content = new Growing()
  const { onClose, count } = closes()
  content.append('abc')

  await t.rejects(buffer(tail(content, whole, { onClose, signal: AbortSignal.abort() })), {
    name: 'AbortError',
  })

  t.equal(count(), 1)
})

t.test('tail() stops waiting and closes once when its reader leaves', async t => {
  const content = new Growing()
  const { onClose, count } = closes()
  const stream = tail(content, whole, { onClose })
  content.append('abc')
  for await (const chunk of stream) {
    t.equal(String(chunk), 'abc')
    break
  }
  while (content.waiting > 0) await turn()

  stream.destroy()
  content.fail(new Error('after'))
  await turn()

  t.equal(count(), 1)
})

t.test('tail() closes once when it is destroyed while a read is under way', async t => {
  const content = new Growing()
  const { onClose, count } = closes()
  let read: (bytes: Buffer) => void = () => {}
  content.readAt = () => new Promise<Buffer>(resolve => (read = resolve))
  content.append('abc')
  const stream = tail(content, whole, { onClose })
  stream.read(0)
  await turn()

  stream.destroy()
  await once(stream, 'close')
  read(Buffer.from('abc'))
  await turn()

  t.equal(count(), 1)
  t.equal(stream.errored, null)
})

t.test('tail() ends with content that is empty, and for an empty range', async t => {
  const empty = new Growing()
  empty.complete()
  const growing = new Growing()
  growing.append('abc')

  t.equal((await buffer(tail(empty, whole))).length, 0)
  t.equal((await buffer(tail(growing, { start: 2, end: 2 }))).length, 0, 'although it is not complete')
})

t.test('tail() delivers a range without waiting for what lies behind it', async t => {
  const content = new Growing()
  const { onClose, count } = closes()
  content.append('0123456789')

  t.equal(String(await buffer(tail(content, { start: 3, end: 7 }, { onClose }))), '3456')

  t.equal(count(), 1)
})

t.test('tail() waits for a range that has not come yet', async t => {
  const content = new Growing()
  content.append('01')
  const reading = buffer(tail(content, { start: 4, end: 8 }))
  while (content.waiting === 0) await turn()

  for (const piece of ['23', '45', '6', '789']) {
    content.append(piece)
    await turn()
  }

  t.equal(String(await reading), '4567')
})

t.test('tail() follows content until it is complete', async t => {
  const content = new Growing()
  const { onClose, count } = closes()
  const reading = buffer(tail(content, { start: 1, end: undefined }, { onClose }))

  for (const piece of ['ab', 'c', '', 'def']) {
    content.append(piece)
    await turn()
  }
  t.equal(count(), 0)
  content.complete()

  t.equal(String(await reading), 'bcdef')
  t.equal(count(), 1)
})

t.test('tail() reads no further than its reader does', async t => {
  const content = new Growing()
  content.append(Buffer.alloc(8 * 1024 * 1024))
  content.complete()
  const stream = tail(content, whole)
  stream.read(0)
  for (let turns = 0; turns < 20; turns++) await turn()

  t.ok(content.reads <= 2, `${content.reads} reads`)
  t.ok(stream.readableLength <= 512 * 1024, `${stream.readableLength} bytes wait`)
  t.equal((await buffer(stream)).length, 8 * 1024 * 1024)
})
