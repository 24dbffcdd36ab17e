// The format of htpasswd files: a line `name:hash` each. Of the many kinds of hashes that such files may have only
// bcrypt is any good; users with another one cannot log in.
import type { Logger } from '../../log.ts'

/** Hash by user name. */
export type Users = ReadonlyMap<string, string>

/** `$2a$`, `$2b$`, `$2y$`, a cost and 53 characters. */
const bcryptHash = /^\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/

/** Throws SyntaxError, naming the line, where one is neither empty, a comment, nor `name:hash`. The last line counts. */
export function parseHtpasswd(text: string, logger: Logger): Users {
  const users = new Map<string, string>()
  for (const [index, rawLine] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const line = rawLine.trim()
    if (line === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    if (colon < 1)
      throw new SyntaxError(`Cannot read htpasswd file: line ${index + 1} is not of the form name:hash`)
    const user = line.slice(0, colon)
    const hash = line.slice(colon + 1)
    if (bcryptHash.test(hash)) users.set(user, hash)
    else {
      users.delete(user)
      logger.warn({ user, line: index + 1 }, 'user of htpasswd file cannot log in: the hash is not bcrypt')
    }
  }
  return users
}
