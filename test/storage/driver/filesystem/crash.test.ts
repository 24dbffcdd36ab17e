// A process that is killed between the steps of writeAll() leaves the old file or the new one, nothing between.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import t, { type Test } from 'tap'
import { FilesystemDriver } from '../../../../lib/storage/driver/filesystem/driver.ts'
import { at, pattern, walked } from '../suite.ts'

// Bundled once, because each child would otherwise take a second to compile what it needs.
const child = `${t.testdir()}/child.mjs`
buildSync({
  entryPoints: [fileURLToPath(new URL('crash-child.ts', import.meta.url))],
  bundle: true,
  platform: 'node',
  format: 'esm',
  outfile: child,
})

const oldContent = pattern(1_000_003)
const newBytes = 700_001

const moments: readonly (readonly [moment: string, left: 'old' | 'new', why: string])[] = [
  ['open:1', 'old', 'before anything'],
  ['writev:1', 'old', 'an empty temporary file'],
  ['writev:half', 'old', 'half a temporary file'],
  ['fsync:1', 'old', 'written, not synced'],
  ['close:1', 'old', 'synced, not renamed'],
  ['rename:1', 'old', 'closed, not renamed'],
  ['fsync:2', 'new', 'renamed, the directory not synced'],
]

for (const [moment, left, why] of moments) {
  void t.test(`writeAll() killed at ${moment} leaves the ${left} file: ${why}`, async t => {
    const root = t.testdir()
    const driver = new FilesystemDriver(root)
    await driver.writeAll(at('/dir/file'), oldContent)

    const { signal, output } = await replace(t, root, moment)

    t.equal(signal, 'SIGKILL')
    t.equal(output, '')
    const found = await driver.readAll(at('/dir/file'))
    t.ok(found.equals(left === 'old' ? oldContent : pattern(newBytes)))

    const files = await walked(driver, '/')
    t.ok(
      files.every(file => /^\/dir\/file(\.[0-9a-f-]{36}\.tmp)?$/.test(file)),
      'a temporary file at most',
    )
    await driver.writeAll(at('/dir/file'), Buffer.from('next'))
    t.equal((await driver.readAll(at('/dir/file'))).toString(), 'next')
  })
}

void t.test('writeAll() that is not killed is the other half of this test', async t => {
  const root = t.testdir()

  const { signal, output } = await replace(t, root, 'fsync:99')

  t.equal(signal, null)
  t.equal(output, 'written')
  t.ok((await new FilesystemDriver(root).readAll(at('/dir/file'))).equals(pattern(newBytes)))
})

async function replace(t: Test, root: string, moment: string): Promise<{ signal: unknown; output: string }> {
  const args = [child, root, moment, String(newBytes)]
  const running = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => running.kill('SIGKILL'))
  const [[, signal], output] = await Promise.all([once(running, 'exit'), text(running.stdout)])
  return { signal: signal as unknown, output }
}
