// A file of credentials whose content cannot be had for a while.
import fs from 'node:fs'
import t, { type Test } from 'tap'
import { WatchedFile } from '../../lib/auth/watched-file.ts'
import { createLogger } from '../../lib/log.ts'
import { ManualClock } from '../support/manual-clock.ts'

async function open(t: Test) {
  const directory = `${t.testdir({ secrets: { users: 'old' } })}/secrets`
  const clock = new ManualClock()
  const lines: string[] = []
  const logger = createLogger({
    level: 'error',
    formatter: 'json',
    fields: {},
    write: line => void lines.push(line),
  })
  const file = await WatchedFile.open(`${directory}/users`, text => text, { clock, logger })
  const later = () => {
    clock.advance(1000)
    return file.current()
  }
  return { directory, lines, later }
}

t.test('trouble with reading is told once, and what is there afterwards is read', async t => {
  const { directory, lines, later } = await open(t)

  // For a while something else is where the directory was: as with a volume that is mounted anew.
  fs.renameSync(directory, `${directory}.away`)
  fs.writeFileSync(directory, 'no directory')
  for (let i = 0; i < 3; i++) t.equal(await later(), 'old')
  t.equal(lines.length, 1)
  fs.rmSync(directory)
  fs.mkdirSync(directory)
  for (let i = 0; i < 3; i++) t.equal(await later(), 'old')
  t.equal(lines.length, 2, 'other trouble is news')
  fs.writeFileSync(`${directory}/users`, 'new')

  t.equal(await later(), 'new')
})
