// The directory of account key, certificates and pending challenges. Names and forms are those of Go's autocert, so that
// a directory that distribution has filled goes on to be used; several processes may share one.
import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'

export interface CertificateCache {
  /** PEM; undefined: there is none yet. */
  readAccountKey(): Promise<string | undefined>
  writeAccountKey(pem: string): Promise<void>
  /** The key, then the certificate and its chain, PEM. */
  read(host: string): Promise<string | undefined>
  write(host: string, pem: string): Promise<void>
  /** What answers a challenge for this name, in the same form. */
  readChallenge(host: string): Promise<string | undefined>
  writeChallenge(host: string, pem: string): Promise<void>
  removeChallenge(host: string): Promise<void>
}

/** Names of hosts must have been checked: they become names of files. */
export function openCertificateCache(directory: string): CertificateCache {
  const account = 'acme_account+key'
  const fileOf = (name: string) => path.join(directory, name)
  const challengeOf = (host: string) => `${host}+token`

  async function read(name: string): Promise<string | undefined> {
    try {
      return await readFile(fileOf(name), 'utf8')
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw err
    }
  }

  /** Keys are in it: nobody else may read them, and no reader ever sees half. */
  async function write(name: string, pem: string): Promise<void> {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const temporary = `${fileOf(name)}.${randomUUID()}`
    try {
      await writeFile(temporary, pem, { mode: 0o600, flag: 'wx', flush: true })
      await rename(temporary, fileOf(name))
    } catch (err) {
      await rm(temporary, { force: true })
      throw err
    }
  }

  return {
    readAccountKey: () => read(account),
    writeAccountKey: pem => write(account, pem),
    read,
    write,
    readChallenge: host => read(challengeOf(host)),
    writeChallenge: (host, pem) => write(challengeOf(host), pem),
    removeChallenge: host => rm(fileOf(challengeOf(host)), { force: true }),
  }
}
