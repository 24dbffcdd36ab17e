import t from 'tap'
import { main } from '../../lib/cli/main.ts'
import { RecordedIo } from '../support/recorded-io.ts'

t.test('main() rejects arguments that make no sense', async t => {
  const cases = {
    'serve a b': /too many arguments/,
    'sevre x': /unknown command 'sevre'/,
    '--nonsense': /unknown option/,
  }
  for (const [argv, message] of Object.entries(cases)) {
    const io = new RecordedIo()
    t.equal(await main(argv.split(' '), io), 1, argv)
    t.match(io.written.stderr, message)
    t.equal(io.written.stdout, '')
  }
})

t.test('main() without a command prints its usage to stderr', async t => {
  const io = new RecordedIo()

  t.equal(await main([], io), 1)
  t.match(io.written, { stdout: '', stderr: /^Usage: registry / })
})

t.test('main() prints name, version and revision on one line', async t => {
  for (const option of ['--version', '-v']) {
    const io = new RecordedIo()
    t.equal(await main([option], io), 0)
    t.match(io.written, { stdout: /^registry entrepot \S+ \S+\n$/, stderr: '' })
  }
})

t.test('main() prints help', async t => {
  for (const argv of [['--help'], ['-h'], ['help'], ['serve', '--help'], ['help', 'serve']]) {
    const io = new RecordedIo()
    t.equal(await main(argv, io), 0)
    t.match(io.written, { stdout: /^Usage: registry .*REGISTRY_/s, stderr: '' }, argv.join(' '))
  }
})
