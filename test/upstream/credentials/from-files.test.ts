import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import { fileCredentials } from '../../../lib/upstream/credentials/from-files.ts'
import { silentLogger, upstreamError } from '../../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')

function open(dir: string, username: string | { readonly file: string }) {
  const logLines: string[] = []
  const logger = silentLogger(line => logLines.push(line))
  const passwordFile = path.join(dir, 'password')
  return {
    source: fileCredentials({ upstream: 'hub', username, passwordFile, logger }),
    passwordFile,
    logLines,
  }
}

t.test('fileCredentials() fails without a secret in the message', async t => {
  const cases: readonly (readonly [prepare: (file: string) => void, message: RegExp])[] = [
    [() => {}, /password": ENOENT$/],
    [file => mkdirSync(file), /: not a file$/],
    [file => writeFileSync(file, '\n'), /: empty$/],
    [file => writeFileSync(file, 'hunter2'.repeat(10_000)), /: longer than 65536 bytes$/],
  ]
  for (const [prepare, message] of cases) {
    const { source, passwordFile } = open(t.testdir(), 'me')
    prepare(passwordFile)

    await t.rejects(source.get(name), { ...upstreamError('unavailable', { asked: false }), message })
  }
})

t.test('fileCredentials() goes on with the last text while a file is gone, and says so once', async t => {
  const { source, passwordFile, logLines } = open(t.testdir({ password: 'hunter2' }), 'me')
  await source.get(name)
  rmSync(passwordFile)

  for (const _ of [1, 2]) t.same(await source.get(name), { username: 'me', password: 'hunter2' })
  t.equal(logLines.length, 1)
  t.match(logLines[0], /ENOENT.*going on with credentials as last read/)
  t.notMatch(logLines[0], /hunter2/)

  writeFileSync(passwordFile, 'hunter3')
  t.equal((await source.get(name))?.password, 'hunter3')
})

t.test('fileCredentials() takes one line break off, and nothing else', async t => {
  const cases = [
    ['hunter2', 'hunter2'],
    ['hunter2\n', 'hunter2'],
    ['hunter2\r\n', 'hunter2'],
    [' hunter2 \n\n', ' hunter2 \n'],
  ] as const
  for (const [text, password] of cases) {
    const dir = t.testdir({ password: text, username: 'me\n' })
    const { source } = open(dir, { file: path.join(dir, 'username') })

    t.same(await source.get(name), { username: 'me', password }, JSON.stringify(text))
  }
})

t.test('fileCredentials() follows a file that is replaced', async t => {
  const dir = t.testdir({ password: 'hunter2', next: 'hunter3' })
  const { source, passwordFile } = open(dir, 'me')
  t.equal((await source.get(name))?.password, 'hunter2')

  renameSync(path.join(dir, 'next'), passwordFile)

  t.equal((await source.get(name))?.password, 'hunter3')
})

t.test('fileCredentials() looks at refused files again, whatever their times say', async t => {
  const at = new Date('2026-01-01T00:00:00Z')
  const { source, passwordFile } = open(t.testdir({ password: 'hunter2' }), 'me')
  utimesSync(passwordFile, at, at)
  const refused = { username: 'me', password: 'hunter2' }
  t.same(await source.get(name), refused)
  writeFileSync(passwordFile, 'hunter3')
  utimesSync(passwordFile, at, at)
  t.equal((await source.get(name))?.password, 'hunter2', 'nothing tells the two apart')

  source.refused(refused)

  t.equal((await source.get(name))?.password, 'hunter3')
})
