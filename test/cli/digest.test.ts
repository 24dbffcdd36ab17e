import path from 'node:path'
import t from 'tap'
import { digestMain } from '../../lib/cli/digest.ts'
import { RecordedIo } from '../support/recorded-io.ts'

const abc = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
const empty = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

async function run(argv: readonly string[], stdin = '') {
  const io = new RecordedIo({ stdin })
  return { exitCode: await digestMain(argv, io), ...io.written }
}

t.test('digestMain() goes on after a file that it cannot read', async t => {
  const dir = t.testdir({ abc: 'abc' })
  const files = [path.join(dir, 'missing'), path.join(dir, 'abc'), dir]

  const { exitCode, stdout, stderr } = await run(files)

  t.equal(exitCode, 1)
  t.equal(stdout, `${abc}\t${files[1]}\n`)
  t.match(stderr, /^digest: .*missing: ENOENT.*\ndigest: .*: EISDIR.*\n$/)
})

t.test('digestMain() shows its usage and ends with 2 for arguments that make no sense', async t => {
  const table: readonly (readonly [argv: readonly string[], message: RegExp])[] = [
    [['-a', 'md5'], /^error: option '-a, --algorithm <name>' argument 'md5' is invalid.*Usage: digest /s],
    [['-algorithm', 'sha1'], /^error: option '-a, --algorithm <name>' argument 'sha1' is invalid.*Usage: /s],
    [['--algorithm'], /^error: option '-a, --algorithm <name>' argument missing\n.*Usage: digest /s],
    [['-nonsense'], /^error: unknown option '-nonsense'\n.*Usage: digest /s],
  ]
  for (const [argv, stderr] of table) t.match(await run(argv), { exitCode: 2, stdout: '', stderr })
})

t.test('digestMain() prints a line for each file', async t => {
  const dir = t.testdir({ abc: 'abc', empty: '' })
  const files = ['abc', 'empty'].map(name => path.join(dir, name))

  t.match(await run(files), {
    exitCode: 0,
    stdout: `${abc}\t${files[0]}\n${empty}\t${files[1]}\n`,
    stderr: '',
  })
})

t.test('digestMain() reads stdin for - and where there are no files', async t => {
  for (const argv of [[], ['-']]) t.match(await run(argv, 'abc'), { exitCode: 0, stdout: `${abc}\t-\n` })
})

t.test('digestMain() has three algorithms, and takes options as programs in Go do', async t => {
  const table: readonly (readonly [argv: readonly string[], digest: RegExp])[] = [
    [['-a', 'sha512'], /^sha512:cf83e1357eefb8bd[0-9a-f]{112}\t-\n$/],
    [['--algorithm', 'sha512'], /^sha512:/],
    [['-algorithm', 'sha512'], /^sha512:/],
    [['-algorithm=sha512'], /^sha512:/],
    [['--algorithm=sha512'], /^sha512:/],
    [['-a=sha384'], /^sha384:38b060a751ac9638[0-9a-f]{80}\t-\n$/],
    [['--a', 'sha384'], /^sha384:/],
    [['-a', 'sha256'], /^sha256:e3b0c44298fc1c14[0-9a-f]{48}\t-\n$/],
  ]
  for (const [argv, stdout] of table) t.match(await run(argv), { exitCode: 0, stdout, stderr: '' })
})

t.test('digestMain() prints its version', async t => {
  for (const argv of [['-version'], ['--version'], ['-v']]) {
    t.match(await run(argv), { exitCode: 0, stdout: /^digest entrepot \S+ \S+\n$/, stderr: '' })
  }
})

t.test('digestMain() prints its usage to stderr', async t => {
  for (const argv of [['-h'], ['-help'], ['--help']]) {
    t.match(await run(argv), { exitCode: 0, stdout: '', stderr: /^Usage: digest / })
  }
})
