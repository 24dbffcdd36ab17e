// The one error of the configuration: everything that is wrong with it, so that nobody has to mend it line by line.

/** A configuration that cannot be used. `problems` holds one line each: `path: found X, expected Y`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[], options: { readonly cause?: unknown } = {}) {
    super(
      problems.length === 1 ? problems[0] : `${problems.length} problems\n  ${problems.join('\n  ')}`,
      options,
    )
    this.problems = problems
  }
}
