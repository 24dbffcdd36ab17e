import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import t from 'tap'
import { main } from '../../lib/cli/main.ts'
import { RecordedIo } from '../support/recorded-io.ts'

async function run(...argv: readonly string[]) {
  const io = new RecordedIo()
  return { exitCode: await main(argv, io), ...io.written }
}

void t.test('the words of commands are completed in bash', async t => {
  const { stdout } = await run('completion', 'bash')
  const script = `${t.testdir({})}/registry.bash`
  fs.writeFileSync(script, stdout)
  const complete = (...words: readonly string[]) => {
    const array = words.map(word => `'${word}'`).join(' ')
    const commands = `source ${script}; COMP_WORDS=(${array}); COMP_CWORD=${words.length - 1}; _registry; echo "\${COMPREPLY[@]}"`
    return execFileSync('bash', ['-c', commands], { encoding: 'utf8' }).trim().split(' ')
  }

  t.same(complete('registry', 'imp'), ['import'])
  t.ok(complete('registry', 'cache', '').includes('purge'))
  t.same(complete('registry', 'export', 'image', '--with'), ['--with-referrers'])
  t.notOk(complete('registry', 'doctor', '--').includes('--root'))
})

void t.test('scripts for zsh and fish are well-formed, other shells are not known', async t => {
  for (const shell of ['zsh', 'fish']) {
    const { exitCode, stdout } = await run('completion', shell)
    t.equal(exitCode, 0)
    t.match(stdout, /import/)
    const { error, status, stderr } = spawnSync(shell, ['-n'], { input: stdout, encoding: 'utf8' })
    if (error === undefined) t.equal(status, 0, stderr)
  }
  t.match(await run('completion', 'csh'), { exitCode: 1, stderr: /expected bash, zsh or fish/ })
})

void t.test('help tells exit codes and examples', async t => {
  t.match(await run('help', 'import'), { exitCode: 0, stdout: /Examples:[^]*Exit codes: 0/ })
  t.match(await run('cache', 'ls', '--help'), { exitCode: 0, stdout: /Exit codes: 0/ })
})
