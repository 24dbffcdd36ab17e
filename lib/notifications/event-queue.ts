// The events that wait for one endpoint, oldest first. They go to the journal at once, and are read back from there, so
// that memory holds a few of them however many wait. Where the disk takes none (or there is no directory) they wait in
// memory. Either way there are at most so many, and then the oldest give way.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { Journal, type JournalRecord } from './journal.ts'

export interface EventQueueDeps {
  /** Of the endpoint, for log lines. */
  readonly name: string
  /** Undefined: in memory only. */
  readonly directory: string | undefined
  readonly maxEvents: number
  readonly clock: Clock
  readonly logger: Logger
  readonly onDropped: (count: number) => void
}

interface First {
  readonly text: string
  /** Undefined: it is in memory only. */
  readonly record: JournalRecord | undefined
}

const mostPerSegment = 1000
const mostPerWrite = 256
const retryMs = 1000

export class EventQueue {
  readonly #deps: EventQueueDeps
  readonly #journal: Journal | undefined
  readonly #perWrite: number
  #pending: string[] = []
  /** How many of them are being written. */
  #inWrite = 0
  #first: First | undefined
  #flushing: Promise<void> | undefined
  #isDiskFailing = false
  #isOverflowing = false
  #isClosed = false
  readonly #waiters: (() => void)[] = []
  /** How often waiters were woken: none must wait for what came while it looked. */
  #changes = 0
  readonly #closing = new AbortController()

  constructor(deps: EventQueueDeps) {
    this.#deps = deps
    const { directory, maxEvents, clock, logger, name } = deps
    const recordsPerSegment = Math.max(1, Math.min(mostPerSegment, Math.ceil(maxEvents / 10)))
    this.#perWrite = Math.min(mostPerWrite, recordsPerSegment)
    this.#journal =
      directory === undefined
        ? undefined
        : new Journal({
            directory,
            clock,
            recordsPerSegment,
            onLost: (count, err) => {
              deps.onDropped(count)
              logger.error({ err, endpoint: name, events: count }, 'notifications were lost')
            },
          })
  }

  /** How many wait, the first included. */
  get length(): number {
    return this.#waiting + (this.#first === undefined ? 0 : 1)
  }

  /** Never throws. */
  push(text: string): void {
    if (this.#isClosed) return this.#deps.onDropped(1)
    this.#pending.push(text)
    this.#giveWay()
    this.#wake()
    this.#flush()
  }

  /** The oldest, which stays first until removeFirst(); waits for one. Rejects when aborted. One call at a time. */
  async first({ signal }: CallOptions = {}): Promise<string> {
    for (;;) {
      signal?.throwIfAborted()
      if (this.#first !== undefined) return this.#first.text
      const changes = this.#changes
      const record = await this.#journal?.take()
      const text = record?.text ?? this.#takePending()
      if (text !== undefined) this.#first = { text, record }
      else if (changes === this.#changes) await this.#changed(signal)
    }
  }

  removeFirst(): void {
    const record = this.#first?.record
    if (record !== undefined) this.#journal?.done(record)
    this.#first = undefined
    if (this.length < this.#deps.maxEvents / 2) this.#isOverflowing = false
  }

  /** Settles when everything is on disk, or cannot be brought there: false. */
  async flushed(): Promise<boolean> {
    while (this.#flushing !== undefined && !this.#isDiskFailing) await this.#changed()
    return this.#pending.length === 0
  }

  /** Writes what is not written; how many are lost, being in memory only. */
  async close(): Promise<number> {
    this.#isClosed = true
    this.#closing.abort()
    await this.#flushing
    this.#flush()
    await this.#flushing
    await this.#journal?.close()
    const isFirstLost = this.#first !== undefined && this.#first.record === undefined
    return this.#pending.length + (isFirstLost ? 1 : 0)
  }

  get #waiting(): number {
    return (this.#journal?.unread ?? 0) + this.#inWrite + this.#pending.length
  }

  /** Past the disk, where that takes nothing; what is older must not be on its way there. */
  #takePending(): string | undefined {
    const isDirect = this.#journal === undefined || (this.#isDiskFailing && this.#journal.unread === 0)
    return isDirect && this.#inWrite === 0 ? this.#pending.shift() : undefined
  }

  /** What is being delivered stays, and so does what is being written: that turn comes when it is. */
  #giveWay(): void {
    const { maxEvents, logger, name, onDropped } = this.#deps
    const tooMany = this.length - maxEvents
    if (tooMany <= 0) return
    const onDisk = Math.min(tooMany, this.#journal?.unread ?? 0)
    if (onDisk > 0) this.#journal?.drop(onDisk)
    const mayTake = this.#inWrite === 0 ? tooMany - onDisk : this.#pending.length - maxEvents
    const inMemory = this.#pending.splice(0, Math.max(0, mayTake)).length
    if (onDisk + inMemory === 0) return
    onDropped(onDisk + inMemory)
    if (!this.#isOverflowing) {
      logger.error(
        { endpoint: name, maxevents: maxEvents },
        'too many notifications wait, dropping the oldest',
      )
    }
    this.#isOverflowing = true
  }

  #flush(): void {
    if (this.#journal === undefined || this.#pending.length === 0) return
    this.#flushing ??= this.#write(this.#journal).finally(() => {
      this.#flushing = undefined
      this.#wake()
    })
  }

  /** Never rejects. While the disk takes nothing it tries again once in a while. */
  async #write(journal: Journal): Promise<void> {
    const { clock, logger, name } = this.#deps
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, this.#perWrite)
      this.#inWrite = batch.length
      let failure: unknown
      try {
        await journal.append(batch)
      } catch (err) {
        failure = err
        this.#pending.unshift(...batch)
      }
      this.#inWrite = 0
      this.#giveWay()
      this.#noteDisk(failure, () =>
        logger.info({ endpoint: name }, 'notifications are written to disk again'),
      )
      this.#wake()
      if (failure === undefined) continue
      if (this.#closing.signal.aborted) return
      await clock.sleep(retryMs, { signal: this.#closing.signal }).catch(() => {})
    }
  }

  #noteDisk(failure: unknown, whenBack: () => void): void {
    const { logger, name, directory } = this.#deps
    if (failure === undefined && this.#isDiskFailing) whenBack()
    if (failure !== undefined && !this.#isDiskFailing) {
      logger.error(
        { err: failure, endpoint: name, directory },
        'cannot write notifications to disk, they wait in memory',
      )
    }
    this.#isDiskFailing = failure !== undefined
  }

  async #changed(signal?: AbortSignal): Promise<void> {
    await new Promise<void>(resolve => {
      const settle = () => {
        signal?.removeEventListener('abort', settle)
        resolve()
      }
      this.#waiters.push(settle)
      signal?.addEventListener('abort', settle)
    })
  }

  #wake(): void {
    this.#changes++
    for (const settle of this.#waiters.splice(0)) settle()
  }
}
