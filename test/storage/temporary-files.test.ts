import { mkdir, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import t from 'tap'
import { systemClock } from '../../lib/clock.ts'
import { isTemporary, removeTemporaryFiles } from '../../lib/storage/temporary-files.ts'
import type { StoragePath } from '../../lib/storage/driver/driver.ts'
import { filesIn, openTestDriver } from '../support/stores.ts'

const id = '0197a1b2-0000-4000-8000-00000000abcd'

t.test('Temporary files of a crash go after a day, ours and distribution’s; nothing else does', async t => {
  const root = t.testdir({})
  const driver = await openTestDriver(t, 'filesystem', { root })
  const old = new Date(systemClock.now() - 25 * 3_600_000)
  async function write(name: string, at = old) {
    const file = path.join(root, 'docker/registry/v2', name)
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, 'x')
    await utimes(file, at, at)
  }
  const tag = `repositories/app/_manifests/tags/v1.${id}.tmp/current/link`
  const repository = `repositories/app.${id}.tmp/_manifests/revisions/sha256/${'a'.repeat(64)}/link`
  const young = `repositories/app/_manifests/tags/v1/current/link.${id}.tmp`
  for (const name of [tag, repository, `blobs/sha256/aa/${'a'.repeat(64)}/data`]) await write(name)
  await write(`blobs/sha256/aa/${'a'.repeat(64)}/data.${id}.tmp`)
  await write(`repositories/app/_layers/sha256/${'b'.repeat(64)}/link.${id}.tmp`)
  await write(young, new Date(systemClock.now()))
  const before = (await filesIn(driver)).length

  t.equal(await removeTemporaryFiles(driver, systemClock), 2)
  t.equal(await removeTemporaryFiles(driver, systemClock), 0)

  const left = await filesIn(driver)
  t.equal(before - left.length, 2)
  for (const name of [tag, repository, young]) t.ok(left.includes(`/${name}`), name)
  t.notOk(isTemporary('/x.tmp' as StoragePath))
})
