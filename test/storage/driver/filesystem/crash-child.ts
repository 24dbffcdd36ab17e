// Replaces the file /dir/file below argv[2] with argv[4] bytes, and kills its process at the moment that argv[3]
// names: `<call>:<n>` before the n-th such system call, `writev:half` in the middle of the first one.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { at, pattern } from '../suite.ts'

const [root = '', moment = '', bytes = ''] = process.argv.slice(2)
const [call, which] = moment.split(':')
let calls = 0

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  throw new Error('Cannot be reached')
}

function dyingAt<A extends unknown[], R>(run: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    if (++calls === Number(which)) die()
    return run(...args)
  }
}

if (moment === 'writev:half') {
  Object.assign(fs, {
    writev(fd: number, chunks: readonly Uint8Array[], position: number) {
      const all = Buffer.concat(chunks)
      fs.writeSync(fd, all, 0, Math.floor(all.length / 2), position)
      die()
    },
  })
} else if (call === 'rename') {
  Object.assign(fs.promises, { rename: dyingAt(fs.promises.rename) })
} else {
  for (const name of ['open', 'writev', 'fsync', 'close'] as const) {
    if (call === name) Object.assign(fs, { [name]: dyingAt(fs[name] as (...args: unknown[]) => unknown) })
  }
}
syncBuiltinESMExports()

const { FilesystemDriver } = await import('../../../../lib/storage/driver/filesystem/driver.ts')
await new FilesystemDriver(root).writeAll(at('/dir/file'), pattern(Number(bytes)))
process.stdout.write('written')
