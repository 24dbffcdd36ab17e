import t from 'tap'
import { basicChallenge, bearerChallenge, scopeOf } from '../../lib/auth/challenge.ts'

t.test('basicChallenge() quotes as Go does, in ASCII', async t => {
  t.equal(basicChallenge('R'), 'Basic realm="R"')
  t.equal(basicChallenge('a "b" \\ \n\x01é😀'), 'Basic realm="a \\"b\\" \\\\ \\n\\x01\\u00e9\\U0001f600"')
})

t.test('bearerChallenge() has commas without spaces and leaves out what is empty', async t => {
  const realm = 'https://auth.example/token'

  t.equal(bearerChallenge({ realm, service: 'S', scope: '' }), `Bearer realm="${realm}",service="S"`)
  t.equal(
    bearerChallenge({ realm, service: 'S', scope: 'repository:a:pull', error: 'insufficient_scope' }),
    `Bearer realm="${realm}",service="S",scope="repository:a:pull",error="insufficient_scope"`,
  )
})

t.test('scopeOf() joins the actions of a repository in the order of the request', async t => {
  const of = (name: string, action: 'pull' | 'push') => ({ type: 'repository', name, action }) as const

  t.equal(
    scopeOf([of('foo', 'pull'), of('foo', 'push'), of('bar/b', 'pull')]),
    'repository:foo:pull,push repository:bar/b:pull',
  )
  t.equal(scopeOf([{ type: 'registry', name: 'catalog', action: '*' }]), 'registry:catalog:*')
})
