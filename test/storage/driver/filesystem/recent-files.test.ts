import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { PathNotFoundError } from '../../../../lib/storage/driver/driver.ts'
import { FilesystemDriver } from '../../../../lib/storage/driver/filesystem/driver.ts'
import { at } from '../suite.ts'

void t.test(
  'FilesystemDriver.readAll() sees at once what another process replaced, removed or put back',
  async t => {
    const root = t.testdir({ link: 'sha256:one' })
    const driver = new FilesystemDriver(root)
    const read = async () => (await driver.readAll(at('/link'))).toString()
    const replace = (content: string) => {
      writeFileSync(`${root}/link.tmp`, content)
      renameSync(`${root}/link.tmp`, `${root}/link`)
    }
    t.equal(await read(), 'sha256:one')
    t.equal(await read(), 'sha256:one')

    replace('sha256:two')
    t.equal(await read(), 'sha256:two', 'same length, same tick of the clock')
    rmSync(`${root}/link`)
    await t.rejects(driver.readAll(at('/link')), PathNotFoundError)
    mkdirSync(`${root}/link`)
    await t.rejects(driver.readAll(at('/link')), PathNotFoundError)
    rmSync(`${root}/link`, { recursive: true })
    replace('sha256:one')
    t.equal(await read(), 'sha256:one')
  },
)

void t.test('FilesystemDriver.readAll() gives what was read, not what a caller made of it', async t => {
  const root = t.testdir({ file: 'content' })
  const driver = new FilesystemDriver(root)
  ;(await driver.readAll(at('/file'))).fill('x')

  t.equal((await driver.readAll(at('/file'))).toString(), 'content')
})
