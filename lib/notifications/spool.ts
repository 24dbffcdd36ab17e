// The directory that events wait in: one folder for each process that shares it, in that one for each endpoint. A
// process that has gone, however it ended, leaves its folder; the next one to look takes over what is in it.
//
// Taking over: 1. rename the folder, which only one of several can do; 2. sign it; 3. put what is in it into the own
// queues; 4. once that is on disk, remove it. A crash in between means that some events are delivered twice.
import { randomUUID } from 'node:crypto'
import fs from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { EventQueue } from './event-queue.ts'
import { readLeftover } from './journal-format.ts'
import { beatMs, identify, resign, signOwner, stateOf, type Owner } from './owner.ts'

export interface SpoolDeps {
  readonly clock: Clock
  readonly logger: Logger
}

/** Queues by the name of their folder. */
export type Queues = ReadonlyMap<string, EventQueue>

/** How long events wait for an endpoint that nobody has configured. */
const strayMs = 7 * 24 * 60 * 60 * 1000
/** What is taken over at once before it is on disk. */
const takenAtOnce = 1000

export class Spool {
  /** This process's own folder. */
  readonly directory: string
  readonly #root: string
  readonly #owner: Owner | undefined
  readonly #deps: SpoolDeps
  readonly #strays = new Set<string>()
  readonly #stopping = new AbortController()
  #beating: Promise<void> | undefined

  private constructor(root: string, directory: string, owner: Owner | undefined, deps: SpoolDeps) {
    this.#root = root
    this.directory = directory
    this.#owner = owner
    this.#deps = deps
  }

  /** Rejects if it cannot be written to. */
  static async open(root: string, deps: SpoolDeps): Promise<Spool> {
    const directory = path.join(root, randomUUID())
    await fs.mkdir(directory, { recursive: true, mode: 0o700 })
    const owner = await identify()
    await signOwner(directory, owner)
    return new Spool(root, directory, owner, deps)
  }

  /** The folder of an endpoint; `taken` are those of others. */
  static folderOf(name: string, taken: { has(folder: string): boolean }): string {
    const plain = name.replace(/[^A-Za-z0-9_-]/gu, sign => `%${(sign.codePointAt(0) ?? 0).toString(16)}.`)
    const short = plain.slice(0, 200)
    for (let count = 1; ; count++) {
      const folder = count === 1 ? short : `${short}~${count}`
      if (!taken.has(folder)) return folder
    }
  }

  /** Takes over what others have left, now and once in a while. */
  async start(queues: Queues): Promise<void> {
    await this.#takeOver(queues)
    this.#beating = this.#beat(queues).catch(() => {}) // It ends by the signal alone.
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#beating
  }

  /** After stop(), when the queues are closed: leaves the folder to the next process, or removes it if it is empty. */
  async close(): Promise<void> {
    try {
      const isEmpty = (await foldersIn(this.directory)).length === 0
      if (isEmpty) await fs.rm(this.directory, { recursive: true, force: true })
      else await resign(this.directory)
    } catch (err) {
      this.#deps.logger.warn(
        { err, directory: this.directory },
        'cannot leave waiting notifications in order',
      )
    }
  }

  async #beat(queues: Queues): Promise<never> {
    for (;;) {
      await this.#deps.clock.sleep(beatMs, { signal: this.#stopping.signal })
      await this.#takeOver(queues)
    }
  }

  /** Never rejects. */
  async #takeOver(queues: Queues): Promise<void> {
    try {
      await signOwner(this.directory, this.#owner)
      for (const name of await foldersIn(this.#root)) {
        if (this.#stopping.signal.aborted) return
        const directory = path.join(this.#root, name)
        if (directory === this.directory) continue
        if ((await stateOf(directory, this.directory, this.#owner)) === 'gone') {
          await this.#takeOverOne(directory, queues)
        }
      }
    } catch (err) {
      this.#deps.logger.warn({ err, directory: this.#root }, 'cannot look for notifications that were left')
    }
  }

  async #takeOverOne(directory: string, queues: Queues): Promise<void> {
    const folders = await foldersIn(directory)
    const known = folders.filter(folder => queues.has(folder))
    if (folders.length > 0 && known.length === 0) return await this.#keepStrays(directory, folders)
    const claimed = path.join(this.#root, randomUUID())
    try {
      await fs.rename(directory, claimed)
      await signOwner(claimed, this.#owner)
    } catch {
      return // Another process was faster.
    }
    for (const folder of known) {
      const queue = queues.get(folder)
      // Else they wait in memory, too: it stays ours, as they were read once more with every look.
      if (queue !== undefined && !(await this.#move(path.join(claimed, folder), queue))) return
    }
    if (folders.length > known.length) await resign(claimed)
    else await fs.rm(claimed, { recursive: true, force: true })
  }

  /** False if it has to stay, as what is read of it cannot be written down elsewhere. */
  async #move(directory: string, queue: EventQueue): Promise<boolean> {
    const { logger } = this.#deps
    let count = 0
    const onTorn = (segment: string) => {
      logger.warn({ directory, segment }, 'cut off what a crash has left of a notification')
    }
    for await (const text of readLeftover(directory, onTorn)) {
      queue.push(text)
      if (++count % takenAtOnce === 0 && !(await queue.flushed())) break
    }
    if (!(await queue.flushed())) return false
    if (count > 0)
      logger.info({ directory, events: count }, 'took over notifications that were not delivered')
    await fs.rm(directory, { recursive: true, force: true })
    return true
  }

  /** Whoever renames an endpoint by mistake has a week to find out. */
  async #keepStrays(directory: string, folders: readonly string[]): Promise<void> {
    const { logger } = this.#deps
    const own = await fs.stat(path.join(this.directory, 'owner'))
    for (const folder of folders) {
      const stray = path.join(directory, folder)
      if (own.mtimeMs - (await fs.stat(stray)).mtimeMs > strayMs) {
        logger.warn(
          { directory: stray },
          'removed notifications for an endpoint that has not existed for a week',
        )
        await fs.rm(stray, { recursive: true, force: true })
      } else if (!this.#strays.has(stray)) {
        this.#strays.add(stray)
        let events = 0
        for await (const _text of readLeftover(stray, () => {})) events++
        logger.warn({ directory: stray, events }, 'notifications wait for an endpoint that is not configured')
      }
    }
  }
}

async function foldersIn(directory: string): Promise<readonly string[]> {
  const entries = await fs.readdir(directory, { withFileTypes: true })
  return entries.filter(entry => entry.isDirectory()).map(entry => entry.name)
}
