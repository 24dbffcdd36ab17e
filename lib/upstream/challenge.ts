// Reads WWW-Authenticate, the header in which a registry says how it wants to be asked. Registries in the wild send
// several challenges in one line or in several, commas inside quoted strings, and blanks where none belong; whatever
// cannot be read is skipped, because the challenge after it may still be of use. Source: RFC 9110 section 11.6.1.

export interface Challenge {
  /** Lower case, such as `bearer`. */
  readonly scheme: string
  /** Names in lower case, values unquoted; of two parameters with one name the first counts. */
  readonly parameters: ReadonlyMap<string, string>
}

const maxHeaderLength = 16 * 1024
const separators = /[\s,]*/y
const word = /[\w!#$%&'*+.^`|~-]+/y
const equals = /\s*=\s*/y
const quoted = /"((?:[^"\\]|\\.)*)"?/y
const token68 = /[ \t]+[\w.~+/-]+=*[ \t]*(?=,|$)/y
const bareValue = /[^\s,]*/y

/** Parses all lines of the header, in their order; never throws. */
export function parseChallenges(header: string | readonly string[] | undefined): readonly Challenge[] {
  const lines = typeof header === 'string' ? [header] : (header ?? [])
  return lines.flatMap(line => parseLine(line.slice(0, maxHeaderLength)))
}

/**
 * A word followed by `=` is a parameter of the challenge before it, any other word begins the next challenge: that is
 * the only thing that tells the comma between parameters from the comma between challenges.
 */
function parseLine(line: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(line)
    if (match !== null) at = pattern.lastIndex
    return match
  }

  while (at < line.length) {
    take(separators)
    const name = take(word)?.[0].toLowerCase()
    if (name === undefined) {
      at++
    } else if (take(equals) !== null) {
      const value = take(quoted)?.[1]?.replaceAll(/\\(.)/g, '$1') ?? take(bareValue)?.[0] ?? ''
      const parameters = challenges.at(-1)?.parameters
      if (parameters !== undefined && !parameters.has(name)) parameters.set(name, value)
    } else {
      challenges.push({ scheme: name, parameters: new Map() })
      take(token68)
    }
  }
  return challenges
}
