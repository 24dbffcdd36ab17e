// A registry that is to ask for passwords and has none yet makes a user of its own, and says so in its log.
import { randomBytes, randomUUID } from 'node:crypto'
import { access, link, mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { bcrypt } from 'hash-wasm'
import type { Logger } from '../../log.ts'

const user = 'docker'
const cost = 10

/** Makes the file, for its owner alone, if it is missing. */
export async function provisionHtpasswd(file: string, logger: Logger): Promise<void> {
  if (await exists(file)) return
  const password = randomBytes(32).toString('base64url')
  const hash = await bcrypt({ password, salt: randomBytes(16), costFactor: cost, outputType: 'encoded' })
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
  if (!(await createWhole(file, `${user}:${hash}`))) return
  // Under the key `password` it would be censored; this once it has to be read.
  logger.warn({ user, initial_password: password }, 'htpasswd is missing, provisioning with default user')
}

/** Whoever reads it finds all of it; false if somebody else, another process of ours, was faster. */
async function createWhole(file: string, content: string): Promise<boolean> {
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, content, { mode: 0o600, flag: 'wx' })
  try {
    await link(draft, file)
    return true
  } catch (err) {
    if (hasCode(err, 'EEXIST')) return false
    throw err
  } finally {
    await rm(draft, { force: true })
  }
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch (err) {
    if (hasCode(err, 'ENOENT')) return false
    throw err
  }
}

function hasCode(err: unknown, code: string): boolean {
  return err instanceof Error && 'code' in err && err.code === code
}
