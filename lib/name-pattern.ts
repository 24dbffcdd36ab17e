// Patterns for names (repositories, tags), as they are written in the configuration and on the command line: a regular
// expression between slashes, matched anywhere unless it is anchored, or else a whole name in which `*` stands for any
// characters, slashes included, and `?` for one.

/** Throws SyntaxError for a pattern that is no regular expression; configuration has checked them. */
export function compilePattern(pattern: string): RegExp {
  if (pattern.length > 1 && pattern.startsWith('/') && pattern.endsWith('/')) {
    return new RegExp(pattern.slice(1, -1), 'u')
  }
  const source = pattern
    .replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
    .replaceAll('\\*', '.*')
    .replaceAll('\\?', '.')
  return new RegExp(`^(?:${source})$`, 'u')
}

/** Whether a name matches one of several patterns; none match where there are none. */
export function matchesAny(patterns: readonly string[]): (name: string) => boolean {
  const compiled = patterns.map(compilePattern)
  return name => compiled.some(pattern => pattern.test(name))
}
