// A storage driver for tests whose chosen calls fail or wait. Faults are put in by wrapping a real driver, so that
// all else goes on as it does in use.
import { EventEmitter, once } from 'node:events'
import { Readable } from 'node:stream'
import type { FileWriter, StorageDriver, StoragePath } from '../../lib/storage/driver/driver.ts'

/** The calls that can be made to fail or wait; the last five are a writer's. */
export type FaultyCall =
  | 'stat'
  | 'read'
  | 'readAll'
  | 'writeAll'
  | 'openWriter'
  | 'list'
  | 'move'
  | 'remove'
  | 'write'
  | 'readWritten'
  | 'commit'
  | 'cancel'
  | 'release'

export interface FaultOptions {
  /** Which paths the fault is meant for; all, if it is left out. A move goes by the path that it comes from. */
  readonly path?: RegExp
  /** How many calls it meets; 1, if it is left out. */
  readonly times?: number
  /** The call itself succeeds, and the stream that read() gives fails after so many bytes. */
  readonly afterBytes?: number
}

/** A call that waits. */
export interface Pause {
  /** Settles when the first call has come and waits. */
  readonly reached: Promise<unknown>
  /** Lets what waits go on, and all later calls pass. Called once. */
  resume(): void
}

export interface FaultyDriver {
  readonly driver: StorageDriver
  /** The next matching call rejects with `error` and does nothing. */
  fail(call: FaultyCall, error: Error, options?: FaultOptions): void
  /** Matching calls wait before they do anything, until it is resumed. */
  pause(call: FaultyCall, options?: Pick<FaultOptions, 'path'>): Pause
}

interface Fault {
  readonly call: FaultyCall
  readonly path: RegExp
  readonly afterBytes: number | undefined
  times: number
  meet(): Promise<void>
}

/** `inner`, sound until fail() or pause() says otherwise. */
export function faultyDriver(inner: StorageDriver): FaultyDriver {
  const faults: Fault[] = []
  const redirectUrl = inner.redirectUrl?.bind(inner)

  function take(call: FaultyCall, path: StoragePath, inStream: boolean): Fault | undefined {
    const found = faults.find(
      fault => fault.call === call && fault.path.test(path) && (fault.afterBytes !== undefined) === inStream,
    )
    if (found && --found.times === 0) faults.splice(faults.indexOf(found), 1)
    return found
  }

  async function meet<T>(call: FaultyCall, path: StoragePath, go: () => Promise<T>): Promise<T> {
    const fault = take(call, path, false)
    if (fault) await fault.meet()
    return await go()
  }

  function faultyWriter(path: StoragePath, writer: FileWriter): FileWriter {
    const readWritten = writer.readWritten?.bind(writer)
    return {
      get bytesWritten() {
        return writer.bytesWritten
      },
      write: (chunk, options) => meet('write', path, () => writer.write(chunk, options)),
      commit: () => meet('commit', path, () => writer.commit()),
      close: () => writer.close(),
      cancel: () => meet('cancel', path, () => writer.cancel()),
      release: () => meet('release', path, () => writer.release()),
      ...(readWritten && {
        readWritten: (...args: Parameters<typeof readWritten>) =>
          meet('readWritten', path, () => readWritten(...args)),
      }),
    }
  }

  const driver: StorageDriver = {
    name: inner.name,
    stat: (path, options) => meet('stat', path, () => inner.stat(path, options)),
    read: (path, options) =>
      meet('read', path, async () => {
        const stream = await inner.read(path, options)
        const fault = take('read', path, true)
        return fault ? Readable.from(failing(stream, fault), { objectMode: false, highWaterMark: 0 }) : stream
      }),
    readAll: (path, options) => meet('readAll', path, () => inner.readAll(path, options)),
    writeAll: (path, content, options) =>
      meet('writeAll', path, () => inner.writeAll(path, content, options)),
    openWriter: (path, options) =>
      meet('openWriter', path, async () => faultyWriter(path, await inner.openWriter(path, options))),
    list: (path, options) => meet('list', path, () => inner.list(path, options)),
    walk: (prefix, options) => inner.walk(prefix, options),
    move: (from, to, options) => meet('move', from, () => inner.move(from, to, options)),
    remove: (path, options) => meet('remove', path, () => inner.remove(path, options)),
    close: () => inner.close(),
    ...(redirectUrl && { redirectUrl }),
  }

  return {
    driver,
    fail(call, error, { path = /^/, times = 1, afterBytes } = {}) {
      faults.push({ call, path, times, afterBytes, meet: () => Promise.reject(error) })
    },
    pause(call, { path = /^/ } = {}) {
      const events = new EventEmitter()
      const reached = once(events, 'reached')
      const resumed = once(events, 'resumed')
      async function meet(): Promise<void> {
        events.emit('reached')
        await resumed
      }
      const fault = { call, path, times: Infinity, afterBytes: undefined, meet }
      faults.push(fault)
      return {
        reached,
        resume() {
          faults.splice(faults.indexOf(fault), 1)
          events.emit('resumed')
        },
      }
    },
  }
}

async function* failing(stream: Readable, { afterBytes = 0, meet }: Fault): AsyncGenerator<Buffer> {
  let left = afterBytes
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (chunk.length >= left) {
      if (left > 0) yield chunk.subarray(0, left)
      await meet()
    }
    left -= chunk.length
    yield chunk
  }
}
