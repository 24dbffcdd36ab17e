// Whether somebody can tell who is who: rules about callers say nothing where nobody is asked.
import { show, valueAt, type Problem } from './problems.ts'
import { flag, isEmpty } from './schema.ts'

export function* accessProblems(tree: unknown): Generator<Problem> {
  const scheme = schemeIn(tree)
  const tokenservice = valueAt(tree, ['tokenservice', 'enabled'])
  if (scheme !== 'htpasswd' && flag.safeParse(tokenservice).data === true) {
    yield {
      path: ['tokenservice', 'enabled'],
      found: show(tokenservice),
      expected: 'false, because tokens are for the users of auth.htpasswd, and there are none',
    }
  }
  const access = valueAt(tree, ['access'])
  if (!Array.isArray(access)) return
  // A token says itself what its bearer may do, and silly tells nobody apart: a second word on that would hide the first.
  if (scheme === 'token' || scheme === 'silly') {
    yield { path: ['access'], found: 'a list', expected: `nothing, because auth.${scheme} decides alone` }
    return
  }
  if (scheme !== undefined || !isEmpty(valueAt(tree, ['http', 'tls', 'clientcas']))) return
  for (const [index, rule] of access.entries()) {
    const principals = listAt(rule, 'principal')
    const other = principals.find(principal => principal !== 'anonymous')
    if (other === undefined) continue
    yield {
      path: ['access', index, 'principal'],
      found: show(other),
      expected: 'anonymous, because nobody is asked who they are (auth.htpasswd, http.tls.clientcas)',
    }
  }
}

/** The scheme of `auth`, if there is just one. */
export function schemeIn(tree: unknown): string | undefined {
  const auth = valueAt(tree, ['auth'])
  const named = typeof auth === 'string' ? [auth] : typeof auth === 'object' ? Object.keys(auth ?? {}) : []
  const schemes = named.filter(name => !['', 'none'].includes(name))
  return schemes.length === 1 ? schemes[0] : undefined
}

function listAt(above: unknown, key: string): readonly unknown[] {
  const value = valueAt(above, [key])
  if (isEmpty(value)) return []
  return Array.isArray(value) ? value : [value]
}
