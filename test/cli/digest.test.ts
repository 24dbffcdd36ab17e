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

t.test('digestMain() rejects an algorithm that it does not have', async t => {
  for (const argv of [['-a', 'md5'], ['--algorithm'], ['-algorithm', 'sha1']]) {
    t.match(await run(argv), {
      exitCode: 2,
      stdout: '',
      stderr: /^error: option '-a, --algorithm <name>' argument/,
    })
  }
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

t.test('digestMain() takes long options with one dash or two', async t => {
  for (const argv of [
    ['-a', 'sha512'],
    ['--algorithm', 'sha512'],
    ['-algorithm', 'sha512'],
    ['-algorithm=sha512'],
  ]) {
    t.match(await run(argv), { exitCode: 0, stdout: /^sha512:cf83e1357eefb8bd[0-9a-f]{112}\t-\n$/ })
  }
  for (const argv of [['-version'], ['--version'], ['-v']])
    t.match(await run(argv), { stdout: /^digest entrepot \S+ \S+\n$/ })
  for (const argv of [['-help'], ['-h']]) t.match(await run(argv), { exitCode: 0, stdout: /^Usage: digest / })
})
