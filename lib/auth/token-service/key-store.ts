// Where signing keys are kept: files of a directory that several processes may share, or memory. A file appears whole
// or not at all, and is never changed afterwards.
import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import type { Logger } from '../../log.ts'
import { parseKey, type SigningKey } from './signing-key.ts'

export interface KeyStore {
  /** All keys, in no order. */
  read(): Promise<readonly SigningKey[]>
  write(kid: string, json: string): Promise<void>
  remove(kid: string): Promise<void>
}

export function keepInMemory(): KeyStore {
  const keys = new Map<string, SigningKey>()
  return {
    read: async () => [...keys.values()],
    write: async (kid, json) => void keys.set(kid, await parseKey(json)),
    remove: async kid => void keys.delete(kid),
  }
}

const fileName = /^key-([\w-]{43})\.json$/
const maxBytes = 16 * 1024

/** Makes the directory where there is none. Throws if it cannot be read. */
export async function keepInDirectory(directory: string, logger: Pick<Logger, 'warn'>): Promise<KeyStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return openKeyDirectory(directory, logger)
}

/** The same of a directory that is there. */
export async function openKeyDirectory(directory: string, logger: Pick<Logger, 'warn'>): Promise<KeyStore> {
  const { mode } = await stat(directory)
  if ((mode & 0o077) !== 0) logger.warn(`others than its owner may enter the directory of keys ${directory}`)
  const pathOf = (kid: string) => path.join(directory, `key-${kid}.json`)
  /** Files do not change: each is parsed, or complained about, once. */
  const known = new Map<string, SigningKey | 'unusable'>()

  async function readKey(kid: string): Promise<SigningKey | 'unusable' | 'gone'> {
    const seen = known.get(kid)
    if (seen !== undefined) return seen
    try {
      if ((await stat(pathOf(kid))).size > maxBytes) throw new RangeError(`more than ${maxBytes} bytes`)
      const key = await parseKey(await readFile(pathOf(kid), 'utf8'))
      if (key.kid !== kid) throw new TypeError('the file has the name of another key')
      return key
    } catch (err) {
      if (isMissing(err)) return 'gone'
      // The error itself might quote what stands in the file.
      const reason = err instanceof Error ? ((err as NodeJS.ErrnoException).code ?? err.name) : 'unknown'
      logger.warn({ file: pathOf(kid), reason }, 'cannot use a signing key: it is left alone')
      return 'unusable'
    }
  }

  return {
    async read() {
      const kids = (await readdir(directory)).flatMap(name => fileName.exec(name)?.[1] ?? [])
      for (const kid of known.keys()) if (!kids.includes(kid)) known.delete(kid)
      for (const kid of kids) {
        const key = await readKey(kid)
        if (key !== 'gone') known.set(kid, key)
      }
      return [...known.values()].filter(key => key !== 'unusable')
    },
    async write(kid, json) {
      const temporary = path.join(directory, `.new-${randomUUID()}`)
      try {
        await writeSynced(temporary, `${json}\n`)
        await rename(temporary, pathOf(kid))
      } finally {
        await rm(temporary, { force: true })
      }
    },
    remove: kid => rm(pathOf(kid), { force: true }),
  }
}

async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function isMissing(err: unknown): boolean {
  return err instanceof Error && 'code' in err && err.code === 'ENOENT'
}
