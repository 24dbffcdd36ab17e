// A file of credentials that is read again when it changes. Its last good content goes on counting while the new one
// cannot be read: a typing error must not lock everybody out, nor let anybody in.
import { readFile, stat } from 'node:fs/promises'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { SingleFlight } from '../single-flight.ts'

export interface WatchedFileDeps {
  readonly clock: Clock
  readonly logger: Logger
}

const checkEveryMs = 1000

export class WatchedFile<T> {
  readonly #path: string
  readonly #parse: (text: string) => T | Promise<T>
  readonly #deps: WatchedFileDeps
  readonly #flight = new SingleFlight()
  #content: T
  /** What the file looked like when it was read last, whether that was of use or not. */
  #seen: string
  #checkedAtMs: number

  private constructor(
    path: string,
    parse: (text: string) => T | Promise<T>,
    deps: WatchedFileDeps,
    first: { readonly content: T; readonly seen: string },
  ) {
    this.#path = path
    this.#parse = parse
    this.#deps = deps
    this.#content = first.content
    this.#seen = first.seen
    this.#checkedAtMs = deps.clock.now()
  }

  /** Rejects with what is wrong with the file, or what `parse` throws. */
  static async open<T>(
    path: string,
    parse: (text: string) => T | Promise<T>,
    deps: WatchedFileDeps,
  ): Promise<WatchedFile<T>> {
    const seen = await appearanceOf(path)
    const content = await parse(await readFile(path, 'utf8'))
    return new WatchedFile(path, parse, deps, { content, seen })
  }

  /** The content as of at most a second ago. Never rejects. */
  async current(): Promise<T> {
    const sinceMs = this.#deps.clock.now() - this.#checkedAtMs
    if (sinceMs < 0 || sinceMs >= checkEveryMs) await this.#flight.run('check', () => this.#check())
    return this.#content
  }

  async #check(): Promise<void> {
    const { clock, logger } = this.#deps
    try {
      const seen = await appearanceOf(this.#path)
      if (seen === this.#seen) return
      const text = await readFile(this.#path, 'utf8')
      this.#seen = seen
      this.#content = await this.#parse(text)
      logger.info({ path: this.#path }, 'read changed credentials file')
    } catch (err) {
      // What was read and is of no use is not read again, until it changes; what could not be read is.
      const trouble = troubleOf(err)
      const isNews = trouble === undefined || trouble !== this.#seen
      if (trouble !== undefined) this.#seen = trouble
      if (isNews)
        logger.error(
          { err, path: this.#path },
          'cannot read credentials file, going on with its last content',
        )
    } finally {
      this.#checkedAtMs = clock.now()
    }
  }
}

/** Changes with the file, also where it was replaced, or written twice within one tick of the clock. */
async function appearanceOf(path: string): Promise<string> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
  return [ino, size, mtimeNs, ctimeNs].join(' ')
}

/** What keeps a file from being read; undefined: that is not what failed. */
function troubleOf(err: unknown): string | undefined {
  return err instanceof Error && 'syscall' in err && 'code' in err ? String(err.code) : undefined
}
