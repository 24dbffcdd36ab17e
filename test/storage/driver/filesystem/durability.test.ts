// What the filesystem driver syncs, and what it leaves behind when a step fails. The kernel is asked by counting the
// calls of fsync, for nothing less than a power cut would tell.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../../../lib/storage/driver/driver.ts'
import { FilesystemDriver } from '../../../../lib/storage/driver/filesystem/driver.ts'
import { at, pattern, walked } from '../suite.ts'
import { openDescriptors } from './open-descriptors.ts'

void t.test('writeAll() syncs the file, its directory and the parents of new directories', async t => {
  const { driver, synced } = watched(t)

  await driver.writeAll(at('/a/b/file'), Buffer.from('x'))
  t.strictSame(synced(), ['', '/a', '/a/b', '/a/b/file.tmp'])

  await driver.writeAll(at('/a/b/file'), Buffer.from('y'))
  t.strictSame(synced(), ['/a/b', '/a/b/file.tmp'])
})

void t.test('writeAll() with durable false syncs nothing', async t => {
  const { driver, synced } = watched(t)

  await driver.writeAll(at('/a/b/file'), Buffer.from('x'), { durable: false })

  t.strictSame(synced(), [])
})

void t.test(
  'FileWriter.commit() syncs the file, its directory and the parents of new directories',
  async t => {
    const { driver, synced } = watched(t)
    const writer = await driver.openWriter(at('/a/b/file'))
    await writer.write(Buffer.from('x'))
    t.strictSame(synced(), [])

    await writer.commit()

    t.strictSame(synced(), ['', '/a', '/a/b', '/a/b/file'])
    await writer.release()
  },
)

void t.test('move() syncs the target directory and the parents of new directories', async t => {
  const { driver, synced } = watched(t)
  await driver.writeAll(at('/file'), Buffer.from('x'), { durable: false })

  await driver.move(at('/file'), at('/a/b/file'))

  t.strictSame(synced(), ['', '/a', '/a/b'])
})

void t.test('writeAll() that fails removes its temporary file and keeps the old file', async t => {
  const { driver, failNext } = watched(t)
  await driver.writeAll(at('/file'), Buffer.from('old'))
  for (const call of ['writev', 'fsync'] as const) {
    failNext(call)

    await t.rejects(driver.writeAll(at('/file'), pattern(1000)), {
      name: 'StorageError',
      message: 'Cannot write "/file": no space left',
      cause: { code: 'ENOSPC' },
    })
  }
  await driver.writeAll(at('/dir/file'), Buffer.from('x'))
  await t.rejects(driver.writeAll(at('/dir'), Buffer.from('y')), { name: 'StorageError' })

  t.strictSame(await walked(driver, '/'), ['/dir/file', '/file'])
  t.equal((await driver.readAll(at('/file'))).toString(), 'old')
})

void t.test('FileWriter.write() goes on after a short write', async t => {
  const { driver, shorten } = watched(t)
  shorten(1000)

  const writer = await driver.openWriter(at('/file'))
  const bytes = pattern(10_001)
  await writer.write([bytes.subarray(0, 10), bytes.subarray(10, 1500), bytes.subarray(1500)])
  await writer.commit()
  await writer.release()

  t.ok((await driver.readAll(at('/file'))).equals(bytes))
})

void t.test('FileWriter flushes as it goes, and a flush that failed spoils commit() and close()', async t => {
  for (const end of ['commit', 'close'] as const) {
    const { driver, failNext } = watched(t)
    failNext('fdatasync')
    const writer = await driver.openWriter(at('/file'))
    await writer.write(pattern(16 * 1024 * 1024))

    await t.rejects(writer[end](), { name: 'StorageError', cause: { code: 'ENOSPC' } })
    await writer.cancel()
    await writer.release()

    t.strictSame(await walked(driver, '/'), [], end)
  }
})

void t.test('FileWriter.cancel() removes the file after a commit() that failed', async t => {
  const { driver, failNext } = watched(t)
  const writer = await driver.openWriter(at('/file'))
  await writer.write(Buffer.from('x'))
  failNext('fsync')

  await t.rejects(writer.commit(), { name: 'StorageError', cause: { code: 'ENOSPC' } })
  await writer.cancel()
  await writer.release()

  t.strictSame(await walked(driver, '/'), [])
})

void t.test('FileWriter.release() keeps the descriptor while a read is under way', async t => {
  const { driver, root, nextRead } = watched(t)
  const writer = await driver.openWriter(at('/file'))
  await writer.write(Buffer.from('abc'))
  const begin = nextRead()

  const reading = writer.readWritten?.(0, 3)
  const releasing = writer.release()
  await driver.stat(at('/')) // a trip through the thread pool, in which a close would have been done
  t.equal(openDescriptors(root), 1)
  begin()

  t.equal(String(await reading), 'abc')
  await releasing
  t.equal(openDescriptors(root), 0)
})

interface Watched {
  readonly driver: StorageDriver
  readonly root: string
  /** What was synced since the last time, in order of the names. */
  synced(): readonly string[]
  /** The next such call fails with ENOSPC. */
  failNext(call: 'writev' | 'fsync' | 'fdatasync'): void
  /** From now on no write takes more than so many bytes. */
  shorten(bytes: number): void
  /** The next read waits until the returned function is called. */
  nextRead(): () => void
}

function watched(t: Test): Watched {
  const root = t.testdir()
  const { fdatasync, fsync, read, writev } = fs
  let names: string[] = []
  let failing: string | undefined
  let most = Infinity

  function fails(call: string): NodeJS.ErrnoException | undefined {
    if (failing !== call) return undefined
    failing = undefined
    return Object.assign(new Error('no space left'), { code: 'ENOSPC', syscall: call })
  }

  Object.assign(fs, {
    fsync(fd: number, done: (err: Error | null) => void) {
      const failure = fails('fsync')
      if (failure) return done(failure)
      names.push(
        fs
          .readlinkSync(`/proc/self/fd/${fd}`)
          .slice(root.length)
          .replace(/\.[0-9a-f-]{36}/, ''),
      )
      fsync(fd, done)
    },
    fdatasync(fd: number, done: (err: Error | null) => void) {
      const failure = fails('fdatasync')
      if (failure) done(failure)
      else fdatasync(fd, done)
    },
    writev(fd: number, chunks: readonly Uint8Array[], position: number, done: Parameters<typeof writev>[3]) {
      const failure = fails('writev')
      if (failure) return done(failure, 0, [])
      writev(fd, most === Infinity ? chunks : [Buffer.concat(chunks).subarray(0, most)], position, done)
    },
  })
  syncBuiltinESMExports()
  t.teardown(() => {
    Object.assign(fs, { fdatasync, fsync, read, writev })
    syncBuiltinESMExports()
  })
  return {
    driver: new FilesystemDriver(root),
    root,
    synced() {
      const sorted = names.sort()
      names = []
      return sorted
    },
    failNext: call => void (failing = call),
    shorten: bytes => void (most = bytes),
    nextRead() {
      let begin = () => {}
      Object.assign(fs, {
        read(...args: Parameters<typeof read>) {
          begin = () => read(...args)
        },
      })
      syncBuiltinESMExports()
      return () => begin()
    },
  }
}
