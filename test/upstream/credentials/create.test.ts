import t from 'tap'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import { createCredentialSource, type CredentialOptions } from '../../../lib/upstream/credentials/create.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { silentLogger } from '../../support/upstream-client.ts'

const deps = {
  upstream: 'hub',
  url: new URL('https://registry.example.com'),
  env: {},
  clock: new ManualClock(),
  logger: silentLogger(),
}
const me = { kind: 'static', username: 'me', password: 'hunter2' } as const

t.test('createCredentialSource() rejects what cannot be meant, without a secret in the message', t => {
  const cases: readonly (readonly [list: readonly CredentialOptions[], message: RegExp])[] = [
    [[me, me], /several without a prefix$/],
    [
      [
        { ...me, prefix: 'a' },
        { ...me, prefix: 'a' },
      ],
      /"a": given twice$/,
    ],
    [[{ kind: 'file', passwordFile: '/p' }], /either user name or its file$/],
    [
      [{ kind: 'file', username: 'me', usernameFile: '/u', passwordFile: '/p' }],
      /either user name or its file$/,
    ],
    [[{ kind: 'ecr' }], /no region, and none in "registry.example.com"$/],
    [[{ kind: 'ecr', region: 'eu-west-1', secretAccessKey: 'hunter2' }], /need both keys or none$/],
  ]
  for (const [list, message] of cases) {
    t.throws(() => createCredentialSource(list, deps), { name: 'TypeError', message })
  }
  t.end()
})

t.test('createCredentialSource() makes nothing of nothing, and one of many', async t => {
  const list: readonly CredentialOptions[] = [{ ...me, prefix: 'team', username: 'team' }, me]
  const source = createCredentialSource(list, deps)

  t.equal(createCredentialSource([], deps), undefined)
  t.same(await source?.get(parseRepositoryName('team/app')), { username: 'team', password: 'hunter2' })
  t.same(await source?.get(parseRepositoryName('other/app')), { username: 'me', password: 'hunter2' })
})

t.test('createCredentialSource() reads and asks nothing before it is asked', async t => {
  const list: readonly CredentialOptions[] = [
    { kind: 'file', prefix: 'a', username: 'me', passwordFile: '/no/such/file' },
    { kind: 'helper', prefix: 'b', command: '/no/such/program', serverUrl: 's' },
    { kind: 'google', prefix: 'c', keyFile: '/no/such/key' },
    { kind: 'ecr', prefix: 'd' },
  ]
  const url = new URL('https://123456789012.dkr.ecr.eu-west-1.amazonaws.com')

  const source = createCredentialSource(list, { ...deps, url })
  if (source === undefined) return t.fail('no source')

  await t.rejects(source.get(parseRepositoryName('a/x')), { message: /no\/such\/file": ENOENT/ })
  t.equal(await source.get(parseRepositoryName('b/x')), undefined)
  await t.rejects(source.get(parseRepositoryName('c/x')), { message: /no\/such\/key": ENOENT/ })
})
