import t from 'tap'
import { parseRepositoryName } from '../../../lib/oci/repository-name.ts'
import { byPrefix } from '../../../lib/upstream/credentials/by-prefix.ts'
import { staticCredentials } from '../../../lib/upstream/credentials/static.ts'

function account(username: string) {
  return staticCredentials({ username, password: 'x' })
}

t.test('byPrefix() rejects what no repository could tell apart', t => {
  const twice = [
    { prefix: 'team', source: account('a') },
    { prefix: 'team/', source: account('b') },
  ]

  t.throws(() => byPrefix(twice, undefined), { name: 'TypeError', message: /"team": given twice/ })
  t.throws(() => byPrefix([{ prefix: '/', source: account('a') }], undefined), { name: 'TypeError' })
  t.end()
})

t.test('byPrefix() chooses the longest prefix that ends where a component does', async t => {
  const sources = [
    { prefix: 'team', source: account('team') },
    { prefix: 'team/private/deep', source: account('deep') },
    { prefix: '/team/private/', source: account('private') },
  ]
  const chosen = byPrefix(sources, account('fallback'))
  const cases = [
    ['team', 'team'],
    ['team/app', 'team'],
    ['team/private', 'private'],
    ['team/private/app', 'private'],
    ['team/privateer', 'team'],
    ['team/private/deep/app', 'deep'],
    ['team/private/deeper', 'private'],
    ['teams/private', 'fallback'],
    ['other/team/private', 'fallback'],
  ] as const

  for (const [name, username] of cases) {
    t.equal((await chosen.get(parseRepositoryName(name)))?.username, username, name)
  }
})

t.test('byPrefix() has no credentials for the rest where there is no fallback', async t => {
  const chosen = byPrefix([{ prefix: 'team', source: account('team') }], undefined)

  t.equal(await chosen.get(parseRepositoryName('library/nginx')), undefined)
})

t.test('byPrefix() passes on that credentials were refused', t => {
  const refused: string[] = []
  const source = (name: string) => ({ ...account(name), refused: () => void refused.push(name) })
  const chosen = byPrefix([{ prefix: 'team', source: source('team') }], source('fallback'))

  chosen.refused({ username: 'team', password: 'x' })

  t.same(refused, ['team', 'fallback'])
  t.end()
})
