import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseTag } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createTagPolicy, TagImmutableError } from '../../lib/registry/tag-policy.ts'

const app = parseRepositoryName('team/app')

t.test('TagPolicy lets every tag move without rules', async t => {
  t.notOk(createTagPolicy([]).isImmutable(app, parseTag('v1')))
  t.notOk(createTagPolicy([{ repository: undefined, tags: [] }]).isImmutable(app, parseTag('v1')))
})

t.test('TagPolicy matches whole names with * and ?, and regular expressions', async t => {
  const cases: readonly (readonly [pattern: string, tag: string, expected: boolean])[] = [
    ['v*', 'v1.2.3', true],
    ['v*', 'v', true],
    ['v*', 'dev1', false],
    ['*-release', '1.0-release', true],
    ['*-release', '1.0-release-candidate', false],
    ['v?', 'v1', true],
    ['v?', 'v12', false],
    ['v?', 'v', false],
    ['1.0', '1.0', true],
    ['1.0', '1x0', false],
    ['*', 'latest', true],
    ['latest', 'Latest', false],
    ['/^v[0-9]+$/', 'v12', true],
    ['/^v[0-9]+$/', 'v12a', false],
    ['/rc/', 'v1-rc2', true],
  ]
  for (const [pattern, tag, expected] of cases) {
    const policy = createTagPolicy([{ repository: undefined, tags: ['never', pattern] }])
    t.equal(policy.isImmutable(app, parseTag(tag)), expected, `${pattern} ${tag}`)
  }
})

t.test('TagPolicy keeps a rule to its repositories', async t => {
  const cases: readonly (readonly [pattern: string, name: string, expected: boolean])[] = [
    ['team/*', 'team/app', true],
    ['team/*', 'team/app/deep', true],
    ['team/*', 'teams/app', false],
    ['team/*', 'other/team/app', false],
    ['team/app', 'team/app', true],
    ['team/app', 'team/app2', false],
    ['/^team\\/[a-z]+$/', 'team/app', true],
    ['/^team\\/[a-z]+$/', 'team/app/deep', false],
  ]
  for (const [repository, name, expected] of cases) {
    const policy = createTagPolicy([{ repository, tags: ['*'] }])
    t.equal(policy.isImmutable(parseRepositoryName(name), parseTag('v1')), expected, `${repository} ${name}`)
  }
})

t.test('createTagPolicy() throws for what is no regular expression', async t => {
  t.throws(() => createTagPolicy([{ repository: undefined, tags: ['/(/'] }]), SyntaxError)
})

t.test('TagImmutableError says which tag stays at what', async t => {
  const digest = digestOf(Buffer.from('x'))

  t.match(new TagImmutableError(parseTag('v1'), digest), {
    code: 'DENIED',
    detail: `tag "v1" is immutable: it points to ${digest}`,
  })
})
