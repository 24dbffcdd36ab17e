// The part of the driver suite about reading, and about writing whole files: writeAll(), readAll(), read(), stat().
import { buffer } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import { maxReadAllBytes } from '../../../lib/storage/driver/driver.ts'
import { at, pattern, until, walked, type DriverTest, type Suite } from './suite.ts'

const mebibyte = 1024 * 1024

/** Paths that no driver may be given. */
const invalidPaths = [
  '',
  'a',
  'a/b',
  '//',
  '/a/',
  '/a//b',
  '/.',
  '/..',
  '/../a',
  '/a/..',
  '/a/./b',
  '/a/../b',
  '/a b',
  '/a\0',
  '/a\n',
  '/a\\b',
  '/a:b',
  '/a+b',
  '/ä',
  `/${'%2e'.repeat(200)}`,
]

/** Adds this part of the suite. */
export function testReads(test: DriverTest, { isFlat = false }: Pick<Suite, 'isFlat'>): void {
  test('every call rejects a path that is none, with InvalidPathError and the driver name', async (t, driver) => {
    const refusal = { name: 'InvalidPathError', driver: driver.name }
    for (const path of invalidPaths.map(at)) {
      await t.rejects(driver.stat(path), refusal, `stat ${path}`)
      await t.rejects(driver.read(path), refusal, `read ${path}`)
      await t.rejects(driver.readAll(path), refusal, `readAll ${path}`)
      await t.rejects(driver.writeAll(path, Buffer.of()), refusal, `writeAll ${path}`)
      await t.rejects(driver.openWriter(path), refusal, `openWriter ${path}`)
      await t.rejects(driver.list(path), refusal, `list ${path}`)
      await t.rejects(walked(driver, path), refusal, `walk ${path}`)
      await t.rejects(walked(driver, '/', path), refusal, `walk after ${path}`)
      await t.rejects(driver.move(path, at('/a')), refusal, `move from ${path}`)
      await t.rejects(driver.move(at('/a'), path), refusal, `move to ${path}`)
      await t.rejects(driver.remove(path), refusal, `remove ${path}`)
    }
    await t.rejects(driver.remove(at('/')), refusal, 'remove /')
    await t.rejects(driver.writeAll(at('/'), Buffer.of()), refusal, 'writeAll /')
  })

  test('every call takes paths of letters, digits, dot, dash and underscore', async (t, driver) => {
    for (const path of [
      '/a',
      '/.a',
      '/a.',
      '/...',
      '/-',
      '/_',
      '/A-z_0.9',
      '/1/2/3/4/5/6/7/8',
      `/${'n'.repeat(200)}`,
    ]) {
      await driver.writeAll(at(path), Buffer.from(path))

      t.equal((await driver.readAll(at(path))).toString(), path)
    }
  })

  test('what does not exist is PathNotFoundError with path and driver name', async (t, driver) => {
    await driver.writeAll(at('/dir/file'), Buffer.from('x'))
    for (const path of ['/none', '/dir/none', '/none/none', '/dir/file/none', '/dir/fil', '/di'].map(at)) {
      const missing = { name: 'PathNotFoundError', path, driver: driver.name }
      await t.rejects(driver.stat(path), missing, `stat ${path}`)
      await t.rejects(driver.read(path), missing, `read ${path}`)
      await t.rejects(driver.readAll(path), missing, `readAll ${path}`)
      await t.rejects(driver.openWriter(path, { append: true }), missing, `append ${path}`)
      await t.rejects(driver.list(path), missing, `list ${path}`)
      await t.rejects(driver.move(path, at('/to/new')), missing, `move ${path}`)
      await driver.remove(path)
    }
    await t.rejects(driver.read(at('/dir')), { name: 'PathNotFoundError' }, 'read of a directory')
    await t.rejects(driver.readAll(at('/dir')), { name: 'PathNotFoundError' }, 'readAll of a directory')

    t.strictSame(await walked(driver, '/'), ['/dir/file'])
    t.strictSame(await driver.list(at('/')), ['/dir'], 'a failed move makes no directory')
  })

  test('writeAll() below a file is PathNotFoundError, at a directory a StorageError', async (t, driver) => {
    if (isFlat) return void t.comment('an object store')
    await driver.writeAll(at('/file'), Buffer.from('x'))
    await driver.writeAll(at('/dir/file'), Buffer.from('x'))

    await t.rejects(driver.writeAll(at('/file/a'), Buffer.of()), { name: 'PathNotFoundError' })
    await t.rejects(driver.writeAll(at('/file/a/b'), Buffer.of()), { name: 'PathNotFoundError' })
    await t.rejects(driver.openWriter(at('/file/a/b')), { name: 'PathNotFoundError' })
    await t.rejects(driver.writeAll(at('/dir'), Buffer.of()), { name: 'StorageError', driver: driver.name })
    t.strictSame(await walked(driver, '/'), ['/dir/file', '/file'])
  })

  test('writeAll() is read back by read(), readAll() and stat()', async (t, driver) => {
    for (const size of [0, 1, 71, 4096, 5 * mebibyte - 1, 5 * mebibyte, 5 * mebibyte + 1]) {
      const content = pattern(size)
      await driver.writeAll(at('/some/file'), content, { durable: size % 2 === 0 })

      t.ok((await driver.readAll(at('/some/file'))).equals(content), `readAll of ${size}`)
      t.ok((await buffer(await driver.read(at('/some/file')))).equals(content), `read of ${size}`)
      t.match(await driver.stat(at('/some/file')), { path: '/some/file', kind: 'file', size })
    }
    t.strictSame(await walked(driver, '/'), ['/some/file'], 'nothing else is left')
  })

  test('readAll() rejects a file that is no small one', async (t, driver) => {
    await driver.writeAll(at('/file'), Buffer.alloc(maxReadAllBytes), { durable: false })
    t.equal((await driver.readAll(at('/file'))).length, maxReadAllBytes)

    await driver.writeAll(at('/file'), Buffer.alloc(maxReadAllBytes + 1), { durable: false })

    await t.rejects(driver.readAll(at('/file')), { name: 'StorageError', driver: driver.name })
  })

  test('writeAll() takes a copy of the bytes, of a view as well', async (t, driver) => {
    const whole = pattern(1000)
    const view = new Uint8Array(whole.buffer, whole.byteOffset + 100, 50)
    await driver.writeAll(at('/file'), view)

    whole.fill(0)

    t.ok((await driver.readAll(at('/file'))).equals(pattern(1000).subarray(100, 150)))
  })

  test('writeAll() replaces a file while a reader keeps the old one', async (t, driver) => {
    const old = pattern(3 * mebibyte)
    await driver.writeAll(at('/file'), old)

    const stream = await driver.read(at('/file'))
    await driver.writeAll(at('/file'), Buffer.from('new'))

    t.ok((await buffer(stream)).equals(old))
    t.equal((await driver.readAll(at('/file'))).toString(), 'new')
  })

  test('read() gives the slice that was asked for', async (t, driver) => {
    const content = pattern(2 * mebibyte + 10)
    await driver.writeAll(at('/file'), content)
    const n = content.length
    const slices: readonly (readonly [start: number | undefined, end: number | undefined])[] = [
      [0, 0],
      [0, 1],
      [undefined, 5],
      [n - 1, undefined],
      [1, n - 1],
      [mebibyte - 1, mebibyte + 1],
      [n - 5, n + 5],
      [n, undefined],
      [n, n + 1],
      [7, 7],
      [7, 3],
      [0, Number.MAX_SAFE_INTEGER],
    ]
    for (const [start, end] of slices) {
      const got = await buffer(await driver.read(at('/file'), { start, end }))
      t.ok(got.equals(content.subarray(start, Math.max(start ?? 0, end ?? n))), `${start} to ${end}`)
    }
  })

  test('read() rejects a slice that starts beyond the end: InvalidOffsetError', async (t, driver) => {
    await driver.writeAll(at('/file'), pattern(10))
    for (const start of [11, 1e12, -1, 0.5, NaN]) {
      const refusal = { name: 'InvalidOffsetError', offset: start, path: '/file', driver: driver.name }
      await t.rejects(driver.read(at('/file'), { start }), refusal, String(start))
    }
  })

  test('read() that is destroyed, early or late, holds nothing', async (t, driver) => {
    await driver.writeAll(at('/file'), pattern(3 * mebibyte))
    const unread = await driver.read(at('/file'))
    unread.destroy()

    const begun = await driver.read(at('/file'))
    for await (const chunk of begun) {
      t.ok((chunk as Buffer).length > 0)
      break
    }

    const busy = await driver.read(at('/file'))
    busy.resume()
    await setImmediate()
    busy.destroy()
    await until(() => unread.closed && begun.closed && busy.closed)
  })

  test('read() ends with an AbortError when its signal is aborted', async (t, driver) => {
    await driver.writeAll(at('/file'), pattern(3 * mebibyte))
    const controller = new AbortController()
    const stream = await driver.read(at('/file'), { signal: controller.signal })

    const reading = (async () => {
      for await (const chunk of stream) if ((chunk as Buffer).length > 0) controller.abort()
    })()

    await t.rejects(reading, { name: 'AbortError' })
    t.equal(stream.destroyed, true)
  })

  test('every call rejects with the reason of a signal that is aborted already', async (t, driver) => {
    await driver.writeAll(at('/file'), Buffer.from('x'))
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    const calls: readonly (() => Promise<unknown>)[] = [
      () => driver.stat(at('/file'), { signal }),
      () => driver.read(at('/file'), { signal }),
      () => driver.readAll(at('/file'), { signal }),
      () => driver.writeAll(at('/new'), Buffer.from('y'), { signal }),
      () => driver.openWriter(at('/new'), { signal }),
      () => driver.list(at('/'), { signal }),
      () => driver.move(at('/file'), at('/new'), { signal }),
      () => driver.remove(at('/file'), { signal }),
    ]
    for (const call of calls) await t.rejects(async () => void (await call()), reason)
    await t.rejects(async () => {
      for await (const file of driver.walk(at('/'), { signal })) t.fail(file.path)
    }, reason)
    t.strictSame(await walked(driver, '/'), ['/file'])
  })
}
