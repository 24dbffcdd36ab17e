// Credentials in files, as orchestrators mount secrets: whoever replaces a file replaces the secret, without a restart.
import { readFile, stat } from 'node:fs/promises'
import type { Logger } from '../../log.ts'
import { UpstreamError } from '../errors.ts'
import type { CredentialSource } from './credential-source.ts'

export interface FileCredentialsOptions {
  /** Name of the upstream. */
  readonly upstream: string
  /** The name itself, or the file that it is in. */
  readonly username: string | { readonly file: string }
  readonly passwordFile: string
  readonly logger: Logger
}

/**
 * Reads the files when asked for the first time and whenever they have changed; a line break at the end is not part
 * of what they hold. A file that is gone or unreadable later leaves its last text in force, with a warning; before
 * that it is UpstreamError `unavailable`.
 */
export function fileCredentials(options: FileCredentialsOptions): CredentialSource {
  const { upstream, username, passwordFile, logger } = options
  const onStale = (err: unknown) => logger.warn({ upstream, err }, 'going on with credentials as last read')
  const open = (file: string) => new SecretFile(file, upstream, onStale)
  const name = typeof username === 'string' ? constant(username) : open(username.file)
  const password = open(passwordFile)
  return {
    async get() {
      const [nameText, passwordText] = await Promise.all([name.read(), password.read()])
      return { username: nameText, password: passwordText }
    },
    // The time of a file's last change may be coarse, or set by hand.
    refused() {
      name.reread()
      password.reread()
    },
  }
}

function constant(text: string): Pick<SecretFile, 'read' | 'reread'> {
  return { read: async () => text, reread() {} }
}

interface Reading {
  /** Tells one state of the file from another. */
  readonly state: string
  readonly text: string
}

const maxSecretBytes = 64 * 1024

class SecretFile {
  readonly #path: string
  readonly #upstream: string
  readonly #onStale: (err: unknown) => void
  #last: Reading | undefined
  #isStale = false

  constructor(path: string, upstream: string, onStale: (err: unknown) => void) {
    this.#path = path
    this.#upstream = upstream
    this.#onStale = onStale
  }

  /** Looks at the file even if it seems unchanged. */
  reread(): void {
    if (this.#last !== undefined) this.#last = { ...this.#last, state: '' }
  }

  async read(): Promise<string> {
    try {
      this.#last = await readIfChanged(this.#path, this.#last)
      this.#isStale = false
      return this.#last.text
    } catch (cause) {
      const message = `Cannot read credentials for "${this.#upstream}" from "${this.#path}": ${reasonOf(cause)}`
      const error = new UpstreamError('unavailable', this.#upstream, message, { asked: false })
      if (this.#last === undefined) throw error
      if (!this.#isStale) this.#onStale(error)
      this.#isStale = true
      return this.#last.text
    }
  }
}

/** Looks first and reads then: what is written in between counts as another change next time. */
async function readIfChanged(path: string, last: Reading | undefined): Promise<Reading> {
  const found = await stat(path)
  if (!found.isFile()) throw new Error('not a file')
  if (found.size > maxSecretBytes) throw new Error(`longer than ${maxSecretBytes} bytes`)
  const state = [found.mtimeMs, found.size, found.ino].join(' ')
  if (last?.state === state) return last
  const text = (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
  if (text === '') throw new Error('empty')
  return { state, text }
}

function reasonOf(err: unknown): string {
  if (!(err instanceof Error)) return 'unknown error'
  return 'code' in err && typeof err.code === 'string' ? err.code : err.message
}
