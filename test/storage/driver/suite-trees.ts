// The part of the driver suite about names: list(), walk(), move(), remove().
import type { StorageDriver } from '../../../lib/storage/driver/driver.ts'
import { at, pattern, until, walked, type DriverTest, type Suite } from './suite.ts'

// In walk() order, which is by components: below `a` before `a-b`, although "-" sorts before "/".
const tree = ['/a/b', '/a/c/d', '/a/c/e', '/a-b/x', '/a.b', '/a0', '/ab/c', '/ab/c.tmp', '/b']

/** Adds this part of the suite. */
export function testTrees(test: DriverTest, { isFlat = false }: Pick<Suite, 'isFlat'>): void {
  test('stat() knows files, directories and / even when nothing is stored', async (t, driver) => {
    t.match(await driver.stat(at('/')), { path: '/', kind: 'directory', size: 0 })
    t.strictSame(await driver.list(at('/')), [])

    const before = Date.now()
    await driver.writeAll(at('/a/b/c'), pattern(17))
    const file = await driver.stat(at('/a/b/c'))

    t.match(await driver.stat(at('/')), { path: '/', kind: 'directory', size: 0 })
    t.match(await driver.stat(at('/a')), { path: '/a', kind: 'directory', size: 0 })
    t.match(file, { path: '/a/b/c', kind: 'file', size: 17 })
    t.ok(Number.isInteger(file.modifiedAtMs) && Math.abs(file.modifiedAtMs - before) < 60_000)
  })

  test('list() gives the direct children in order', async (t, driver) => {
    await plant(driver)

    t.strictSame(await driver.list(at('/')), ['/a', '/a-b', '/a.b', '/a0', '/ab', '/b'])
    t.strictSame(await driver.list(at('/a')), ['/a/b', '/a/c'])
    t.strictSame(await driver.list(at('/ab')), ['/ab/c', '/ab/c.tmp'])
  })

  test('walk() gives every file below a directory in order of the components', async (t, driver) => {
    t.strictSame(await walked(driver, '/'), [])
    await plant(driver)

    t.strictSame(await walked(driver, '/'), tree)
    t.strictSame(await walked(driver, '/a'), ['/a/b', '/a/c/d', '/a/c/e'], 'not /a-b, /a.b, /ab')
    t.strictSame(await walked(driver, '/none'), [])
    t.strictSame(await walked(driver, '/none/none'), [])
    t.strictSame(await walked(driver, '/b'), [], 'a file has nothing below it')
    for await (const file of driver.walk(at('/'))) {
      t.match(file, { kind: 'file', size: file.path.length, modifiedAtMs: Number })
    }
  })

  test('walk() begins after a path, be it a file, a directory or nothing', async (t, driver) => {
    await plant(driver)
    for (const [i, path] of tree.entries()) {
      t.strictSame(await walked(driver, '/', path), tree.slice(i + 1), `after ${path}`)
    }
    t.strictSame(await walked(driver, '/', '/a'), tree, 'a directory comes before what is in it')
    t.strictSame(await walked(driver, '/', '/a/c'), tree.slice(1))
    t.strictSame(await walked(driver, '/', '/a/bb'), tree.slice(1))
    t.strictSame(await walked(driver, '/', '/a/z/z'), tree.slice(3))
    t.strictSame(await walked(driver, '/', '/0'), tree)
    t.strictSame(await walked(driver, '/', '/z'), [])
    t.strictSame(await walked(driver, '/a', '/a/b'), ['/a/c/d', '/a/c/e'])
    t.strictSame(await walked(driver, '/a', '/0'), ['/a/b', '/a/c/d', '/a/c/e'])
    t.strictSame(await walked(driver, '/a', '/a-b'), [])
  })

  test('walk() may be left, and stands what is removed meanwhile', async (t, driver) => {
    await plant(driver)
    const seen: string[] = []
    for await (const { path } of driver.walk(at('/'))) {
      seen.push(path)
      if (path === '/a/b') await driver.remove(at('/a/c'))
      if (path === '/a.b') await driver.remove(at('/ab/c'))
      if (path === '/ab/c.tmp') break
    }

    // An object store lists many files at a time: what was removed since may be among them.
    const isThere = (path: string) => !isFlat || (!path.startsWith('/a/c/') && path !== '/ab/c')
    t.strictSame(seen.filter(isThere), ['/a/b', '/a-b/x', '/a.b', '/a0', '/ab/c.tmp'])
  })

  test('move() takes a file to another name, new directories and all', async (t, driver) => {
    const content = pattern(100)
    await driver.writeAll(at('/from/file'), content)

    await driver.move(at('/from/file'), at('/to/some/new/file'))

    t.ok((await driver.readAll(at('/to/some/new/file'))).equals(content))
    t.strictSame(await walked(driver, '/'), ['/to/some/new/file'])
    await t.rejects(driver.stat(at('/from/file')), { name: 'PathNotFoundError' })
  })

  test('move() replaces what is there', async (t, driver) => {
    await driver.writeAll(at('/from'), Buffer.from('new'))
    await driver.writeAll(at('/to'), Buffer.from('old and longer'))

    await driver.move(at('/from'), at('/to'))
    await driver.move(at('/to'), at('/to'))

    t.equal((await driver.readAll(at('/to'))).toString(), 'new')
    t.strictSame(await walked(driver, '/'), ['/to'])
  })

  test('move() of what is not there leaves the target alone', async (t, driver) => {
    await driver.writeAll(at('/to'), Buffer.from('kept'))

    await t.rejects(driver.move(at('/from'), at('/to')), { name: 'PathNotFoundError', path: '/from' })

    t.equal((await driver.readAll(at('/to'))).toString(), 'kept')
  })

  test('remove() takes a directory with all below it, and no neighbour', async (t, driver) => {
    await plant(driver)

    await driver.remove(at('/a'))
    await driver.remove(at('/a'))
    await driver.remove(at('/ab/c'))

    t.strictSame(await walked(driver, '/'), ['/a-b/x', '/a.b', '/a0', '/ab/c.tmp', '/b'])
    await t.rejects(driver.stat(at('/a')), { name: 'PathNotFoundError' })
  })

  test('files come and go in one directory at the same time', async (t, driver) => {
    const paths = Array.from({ length: 50 }, (_, i) => at(`/dir/${i % 5}/file-${i}`))
    await Promise.all(
      paths.map(async (path, i) => {
        await driver.writeAll(path, pattern(i), { durable: false })
        if (i % 2 === 0) await driver.remove(path)
        else if (i % 5 === 1) await driver.move(path, at(`${path}.moved`))
      }),
    )

    t.equal((await walked(driver, '/dir')).length, 25)
    await driver.remove(at('/dir'))
    t.strictSame(await walked(driver, '/'), [])
  })

  test('a reader goes on over a file that is moved or removed', async (t, driver) => {
    const content = pattern(2 * 1024 * 1024)
    await driver.writeAll(at('/file'), content)
    const stream = await driver.read(at('/file'))
    await driver.move(at('/file'), at('/other'))
    await driver.remove(at('/other'))

    let position = 0
    for await (const chunk of stream) {
      t.ok((chunk as Buffer).equals(content.subarray(position, position + (chunk as Buffer).length)))
      position += (chunk as Buffer).length
    }

    t.equal(position, content.length)
    await until(() => stream.closed)
  })
}

/** Writes the tree, last file first; each has as many bytes as its path. */
async function plant(driver: StorageDriver): Promise<void> {
  for (const path of tree.toReversed())
    await driver.writeAll(at(path), pattern(path.length), { durable: false })
}
