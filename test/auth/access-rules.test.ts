import t from 'tap'
import type { Access } from '../../lib/auth/access-controller.ts'
import { createAccessRules } from '../../lib/auth/access-rules.ts'
import type { Principal } from '../../lib/auth/principal.ts'
import { accessActions, type AccessRuleConfig } from '../../lib/config/auth.ts'

const rules: readonly AccessRuleConfig[] = [
  { principals: ['admin'], repositories: ['*'], actions: accessActions },
  { principals: ['*'], repositories: ['{user}/*', 'home-{user}'], actions: accessActions },
  { principals: ['*'], repositories: ['/^scratch\\/{user}\\/[a-z]+$/'], actions: ['pull', 'push'] },
  { principals: ['alice', 'bob'], repositories: ['team/*'], actions: ['pull', 'push'] },
  { principals: ['anonymous'], repositories: ['public/*'], actions: ['pull'] },
  { principals: ['cert:ci-*'], repositories: ['builds/*', '{user}/cache'], actions: ['pull', 'push'] },
]

const user = (name: string): Principal => ({ name })
const nobody: Principal = { name: undefined }
const certificate = (commonName: string): Principal => ({ name: undefined, certificate: commonName })

const cases: readonly (readonly [Principal, string, Access['action'], boolean])[] = [
  [user('admin'), 'any/thing', 'delete', true],
  [user('alice'), 'team/app', 'push', true],
  [user('alice'), 'team/app', 'delete', false],
  [user('carol'), 'team/app', 'pull', false],
  [user('alice'), 'alice/app', 'delete', true],
  [user('alice'), 'home-alice', 'push', true],
  [user('alice'), 'bob/app', 'pull', false],
  [user('alice'), 'alicex/app', 'pull', false],
  [user('a.b'), 'scratch/a.b/x', 'push', true],
  [user('a.b'), 'scratch/axb/x', 'push', false],
  [user('*'), 'bob/app', 'pull', false],
  [user('..'), '../app', 'pull', false],
  [user('team/app'), 'team/app/x', 'pull', false],
  [user('.*'), 'scratch/bob/x', 'pull', false],
  [user('Alice'), 'Alice/app', 'pull', false],
  [user('cert:ci-1'), 'builds/x', 'pull', false],
  [user('ci-1'), 'builds/x', 'pull', false],
  [nobody, 'public/app', 'pull', true],
  [nobody, 'public/app', 'push', false],
  [nobody, 'team/app', 'pull', false],
  [user('carol'), 'public/app', 'pull', true],
  [certificate('ci-1'), 'builds/x', 'push', true],
  [certificate('ci-1'), 'ci-1/cache', 'push', true],
  [certificate('ci-1'), 'ci-2/cache', 'push', false],
  [certificate('laptop'), 'builds/x', 'pull', false],
  [certificate('alice'), 'team/app', 'pull', false],
  [certificate('alice'), 'alice/app', 'pull', false],
  [certificate('laptop'), 'public/app', 'pull', true],
]

t.test('allows() answers by principal, repository and action', async t => {
  const { allows } = createAccessRules(rules)
  for (const [principal, name, action, expected] of cases) {
    const who = principal.name ?? `certificate ${principal.certificate}`
    t.equal(allows(principal, { type: 'repository', name, action }), expected, `${who} ${action} ${name}`)
  }
})

t.test('allows() without rules lets every user do everything, and nobody else anything', async t => {
  const { allows, knowsCertificate } = createAccessRules(undefined)
  const access = { type: 'repository', name: 'a', action: 'delete' } as const

  t.ok(allows(user('alice'), access))
  t.notOk(allows(nobody, access))
  t.notOk(allows(certificate('alice'), access))
  t.notOk(knowsCertificate('alice'))
})

t.test('allows() shows the catalog to whoever may pull something', async t => {
  const catalog = { type: 'registry', name: 'catalog', action: '*' } as const
  const { allows } = createAccessRules([
    { principals: ['robot'], repositories: ['a'], actions: ['push'] },
    { principals: ['*'], repositories: ['{user}/*'], actions: ['pull'] },
  ])

  t.notOk(allows(nobody, catalog))
  t.ok(allows(user('alice'), catalog))
  t.notOk(allows(user('Not A Path'), catalog))
  t.notOk(allows(user('alice'), { ...catalog, name: 'else' }))
})

t.test('allows() of an empty list lets nobody do anything', async t => {
  t.notOk(createAccessRules([]).allows(user('admin'), { type: 'repository', name: 'a', action: 'pull' }))
})

t.test('createAccessRules() refuses an expression that is none at once', async t => {
  const broken = { principals: ['*'], repositories: ['/{user}(/'], actions: accessActions }

  t.throws(() => createAccessRules([broken]), SyntaxError)
})

t.test('knowsCertificate() tells whether some rule is for it', async t => {
  const { knowsCertificate } = createAccessRules(rules)

  t.ok(knowsCertificate('ci-7'))
  t.notOk(knowsCertificate('laptop'))
})
