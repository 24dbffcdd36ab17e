import t from 'tap'
import { filesystemSection } from '../../../../lib/storage/driver/filesystem/config.ts'

void t.test('filesystemSection rejects what distribution rejects, and unknown parameters', async t => {
  const cases: readonly object[] = [
    { maxthreads: 'many' },
    { maxthreads: '-1' },
    { maxthreads: -1 },
    { maxthreads: 1.5 },
    { maxthreads: true },
    { maxthreads: '' },
    { rootdirectory: 7 },
    { rootdirectory: '' },
    { rootdir: '/data' },
  ]
  for (const parameters of cases) {
    t.equal(filesystemSection.schema.safeParse(parameters).success, false, JSON.stringify(parameters))
  }
})

void t.test('filesystemSection fills in defaults and raises maxthreads to 25', async t => {
  const cases: readonly (readonly [given: object, rootdirectory: string, maxthreads: number])[] = [
    [{}, '/var/lib/registry', 100],
    [{ rootdirectory: null, maxthreads: null }, '/var/lib/registry', 100],
    [{ rootdirectory: '/data' }, '/data', 100],
    [{ maxthreads: 64 }, '/var/lib/registry', 64],
    [{ maxthreads: '64' }, '/var/lib/registry', 64],
    [{ maxthreads: 1 }, '/var/lib/registry', 25],
    [{ maxthreads: '0' }, '/var/lib/registry', 25],
  ]
  for (const [given, rootdirectory, maxthreads] of cases) {
    t.strictSame(filesystemSection.schema.parse(given), { rootdirectory, maxthreads }, JSON.stringify(given))
  }
})
