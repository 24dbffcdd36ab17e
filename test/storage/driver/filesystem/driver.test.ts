// The contract, over a directory whose open descriptors are counted.
import { readdirSync, statSync, symlinkSync, truncateSync } from 'node:fs'
import t from 'tap'
import { FilesystemDriver } from '../../../../lib/storage/driver/filesystem/driver.ts'
import { at, driverSuite, pattern, walked } from '../suite.ts'
import { openDescriptors } from './open-descriptors.ts'

driverSuite(t, {
  open: async t => {
    const root = t.testdir()
    return { driver: new FilesystemDriver(root), openHandles: () => openDescriptors(root) }
  },
})

void t.test('FilesystemDriver needs no root directory until something is written', async t => {
  const root = `${t.testdir()}/not/there`
  const driver = new FilesystemDriver(root)
  t.match(await driver.stat(at('/')), { kind: 'directory' })
  t.strictSame(await driver.list(at('/')), [])
  t.strictSame(await walked(driver, '/'), [])

  await driver.writeAll(at('/file'), Buffer.from('x'))

  t.strictSame(readdirSync(root), ['file'])
})

void t.test('FilesystemDriver passes over names that are no storage paths, and follows links', async t => {
  const root = t.testdir({
    elsewhere: { file: 'x' },
    root: { 'lost+found': {}, 'a file': 'x', dir: { file: 'x' } },
  })
  symlinkSync('../elsewhere', `${root}/root/link`)
  symlinkSync('nowhere', `${root}/root/loose`)
  const driver = new FilesystemDriver(`${root}/root`)

  t.strictSame(await walked(driver, '/'), ['/dir/file', '/link/file'])
  t.strictSame(await driver.list(at('/')), ['/dir', '/link', '/loose'])
})

void t.test('FilesystemDriver.read() fails, and does not end, when the file is cut meanwhile', async t => {
  const root = t.testdir()
  const driver = new FilesystemDriver(root)
  await driver.writeAll(at('/file'), pattern(3_000_000))
  const stream = await driver.read(at('/file'))

  truncateSync(`${root}/file`, 1_000_000)

  await t.rejects(stream.toArray(), { name: 'StorageError', message: /^Cannot read "\/file": ends at/ })
  t.equal(openDescriptors(root), 0)
})

void t.test('FilesystemDriver makes files and directories with the modes that the umask allows', async t => {
  const root = t.testdir()
  const driver = new FilesystemDriver(root)
  const umask = process.umask(0o027)
  t.teardown(() => process.umask(umask))

  await driver.writeAll(at('/dir/file'), Buffer.from('x'))
  await (await driver.openWriter(at('/dir/upload'))).release()

  t.equal(statSync(`${root}/dir`).mode & 0o777, 0o750)
  t.equal(statSync(`${root}/dir/file`).mode & 0o777, 0o640)
  t.equal(statSync(`${root}/dir/upload`).mode & 0o777, 0o640)
})
