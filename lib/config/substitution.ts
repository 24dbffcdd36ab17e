// `${NAME}` in the file's values: what the environment has under that name. `${NAME:-default}` where it may be unset or
// empty. Nothing else that has a `$` in it is touched, as passwords may have some; `$${NAME}` stands for `${NAME}`
// itself. Keys stay as they are written, and so do values that come from the environment (env.ts).
import type { Environment } from './env.ts'
import type { Problem } from './problems.ts'

export interface Substituted {
  readonly tree: unknown
  readonly problems: readonly Problem[]
}

const form = /(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g

/** A copy of `tree` with the variables' values; a problem for each that is not set and has no default. */
export function substitute(tree: unknown, env: Environment): Substituted {
  const problems: Problem[] = []

  function within(value: unknown, path: readonly PropertyKey[]): unknown {
    if (typeof value === 'string') return filled(value, path)
    if (Array.isArray(value)) return value.map((one, index) => within(one, [...path, index]))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, within(one, [...path, key])]))
  }

  function filled(text: string, path: readonly PropertyKey[]): string {
    return text.replace(form, (whole: string, escape: string, name: string, fallback?: string) => {
      if (escape !== '') return whole.slice(1)
      const value = env[name]
      if (value !== undefined && (value !== '' || fallback === undefined)) return value
      if (fallback !== undefined) return fallback
      problems.push({
        path,
        found: `\${${name}}`,
        expected: `the environment variable ${name} to be set, or a default: \${${name}:-…}`,
      })
      return whole
    })
  }

  return { tree: within(tree, []), problems }
}
