// The part of a queue that is on disk: segments of lines that are only ever appended to, read from the front, and
// removed when all in them has been delivered. A write is in the system's hands when append() settles, so that it
// survives the process; a sync follows within some 50 ms, so that it survives the machine.
import fs, { type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../clock.ts'
import { deliveredPath, formatDelivered, formatRecord, parseRecord, segmentName } from './journal-format.ts'

export interface JournalDeps {
  readonly directory: string
  readonly clock: Clock
  /** After so many a new segment begins. */
  readonly recordsPerSegment: number
  /** Records that were there and cannot be read. */
  readonly onLost: (count: number, err: unknown) => void
}

export interface JournalRecord {
  readonly text: string
  readonly segment: Segment
  /** Where it ends in its segment. */
  readonly end: number
}

interface Segment {
  readonly name: string
  records: number
  bytes: number
  /** Records that nobody has taken. */
  unread: number
  /** Up to where it has been read. */
  readTo: number
}

const bytesPerSegment = 4 * 1024 * 1024
const windowBytes = 64 * 1024
const syncPauseMs = 50

export class Journal {
  readonly #deps: JournalDeps
  #segments: readonly Segment[] = []
  #nextIndex = 1
  #writer: { readonly segment: Segment; readonly handle: FileHandle } | undefined
  #window: JournalRecord[] = []
  /** Of what is unread, the oldest that are not to be delivered. */
  #skip = 0
  #unread = 0
  /** It was taken and is not done: its segment stays. */
  #taken: JournalRecord | undefined
  #isDirty = false
  #syncing: Promise<void> | undefined
  #mark: string | undefined
  #marking: Promise<void> | undefined
  #markHandle: FileHandle | undefined
  readonly #closing = new AbortController()

  constructor(deps: JournalDeps) {
    this.#deps = deps
  }

  /** How many can be taken. */
  get unread(): number {
    return this.#unread
  }

  /** Rejects if they cannot be written: then none of them is there. One call at a time. */
  async append(texts: readonly string[]): Promise<void> {
    const lines = Buffer.from(texts.map(formatRecord).join(''))
    const { segment, handle } = await this.#openWriter()
    try {
      await handle.appendFile(lines)
    } catch (err) {
      // What was written of it is behind what we know of, and never read by us; a later process sees that it is torn.
      await this.#closeWriter()
      throw err
    }
    segment.bytes += lines.length
    segment.records += texts.length
    segment.unread += texts.length
    this.#unread += texts.length
    this.#isDirty = true
    this.#syncing ??= this.#sync(handle).finally(() => (this.#syncing = undefined))
  }

  /** The oldest that nobody has taken; undefined if there is none. One call at a time. */
  async take(): Promise<JournalRecord | undefined> {
    for (;;) {
      const record = this.#window.shift()
      if (record !== undefined) {
        record.segment.unread--
        if (this.#skip === 0) {
          this.#unread--
          return (this.#taken = record)
        }
        this.#skip--
        this.#release(record.segment)
        continue
      }
      const segment = this.#segments.find(one => one.unread > 0)
      if (segment === undefined) return undefined
      await this.#fillWindow(segment)
    }
  }

  /** The taken one need not be kept any more. */
  done({ segment, end }: JournalRecord): void {
    this.#taken = undefined
    this.#mark = formatDelivered({ segment: segment.name, end })
    this.#marking ??= this.#writeMark().finally(() => (this.#marking = undefined))
    this.#release(segment)
  }

  /** Gives the oldest `count` up, with the files that hold nothing else. */
  drop(count: number): void {
    this.#skip += count
    this.#unread -= count
    for (const segment of this.#segments) {
      if (segment === this.#writer?.segment || this.#skip < segment.unread) return
      this.#skip -= segment.unread
      segment.unread = 0
      this.#window = this.#window.filter(record => record.segment !== segment)
      this.#release(segment)
    }
  }

  /** Syncs, and leaves what is not done to the next process; removes the directory if there is nothing. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#syncing
    await this.#marking
    await this.#closeWriter()
    await this.#markHandle?.close().catch(() => {})
    if (this.#unread === 0 && this.#taken === undefined) {
      await fs.rm(this.#deps.directory, { recursive: true, force: true }).catch(() => {})
    }
  }

  async #openWriter() {
    const { directory, recordsPerSegment } = this.#deps
    const isFull =
      this.#writer !== undefined &&
      (this.#writer.segment.records >= recordsPerSegment || this.#writer.segment.bytes >= bytesPerSegment)
    if (isFull) await this.#closeWriter()
    if (this.#writer !== undefined) return this.#writer
    const segment: Segment = {
      name: segmentName(this.#nextIndex++),
      records: 0,
      bytes: 0,
      unread: 0,
      readTo: 0,
    }
    await fs.mkdir(directory, { recursive: true, mode: 0o700 })
    const handle = await fs.open(this.#pathOf(segment), 'ax', 0o600)
    this.#segments = [...this.#segments, segment]
    this.#writer = { segment, handle }
    try {
      await syncDirectory(directory)
    } catch (err) {
      await this.#closeWriter()
      throw err
    }
    return { segment, handle }
  }

  async #closeWriter(): Promise<void> {
    const writer = this.#writer
    if (writer === undefined) return
    this.#writer = undefined
    await writer.handle.datasync().catch(() => {})
    await writer.handle.close().catch(() => {})
    this.#release(writer.segment)
  }

  /** What fails here is no loss yet: the process has written it, and the next write would fail, too. */
  async #sync(handle: FileHandle): Promise<void> {
    while (this.#isDirty) {
      this.#isDirty = false
      await (this.#writer?.handle ?? handle).datasync().catch(() => {})
      await this.#deps.clock.sleep(syncPauseMs, { signal: this.#closing.signal }).catch(() => {})
    }
  }

  /** Where it fails, more is delivered once more after a crash. */
  async #writeMark(): Promise<void> {
    while (this.#mark !== undefined) {
      const mark = this.#mark
      this.#mark = undefined
      try {
        this.#markHandle ??= await fs.open(deliveredPath(this.#deps.directory), 'w', 0o600)
        await this.#markHandle.write(mark, 0)
      } catch {
        await this.#markHandle?.close().catch(() => {})
        this.#markHandle = undefined
      }
    }
  }

  async #fillWindow(segment: Segment): Promise<void> {
    let found: Awaited<ReturnType<typeof readLines>>
    try {
      found = await readLines(this.#pathOf(segment), segment.readTo, segment.bytes)
    } catch (err) {
      return this.#lose(segment, segment.unread, err)
    }
    if (segment.unread === 0) return // Given up meanwhile.
    let lost = 0
    for (const { line, end } of found) {
      const text = parseRecord(line)
      if (text === undefined) lost++
      else this.#window.push({ text, segment, end })
      segment.readTo = end
    }
    if (lost > 0) this.#lose(segment, lost, new Error(`Cannot read "${segment.name}": it was changed`))
  }

  #lose(segment: Segment, count: number, err: unknown): void {
    segment.unread -= count
    const skipped = Math.min(this.#skip, count)
    this.#skip -= skipped
    this.#unread -= count - skipped
    this.#release(segment)
    this.#deps.onLost(count - skipped, err)
  }

  /** Removes a segment that nobody will write to, read, or need after a crash. */
  #release(segment: Segment): void {
    if (segment.unread > 0 || segment === this.#writer?.segment || segment === this.#taken?.segment) return
    if (!this.#segments.includes(segment)) return
    this.#segments = this.#segments.filter(one => one !== segment)
    void fs.rm(this.#pathOf(segment), { force: true }).catch(() => {})
  }

  #pathOf({ name }: Segment): string {
    return path.join(this.#deps.directory, name)
  }
}

/** Whole lines from `start` on, at least one; they end before `end`. */
async function readLines(file: string, start: number, end: number) {
  const handle = await fs.open(file)
  try {
    for (let size = windowBytes; ; size *= 4) {
      const length = Math.min(size, end - start)
      const buffer = Buffer.alloc(length)
      const { bytesRead } = await handle.read(buffer, 0, length, start)
      const lastEnd = buffer.lastIndexOf(0x0a, bytesRead - 1)
      if (bytesRead > 0 && lastEnd >= 0) return linesOf(buffer.subarray(0, lastEnd + 1), start)
      if (bytesRead < length || size >= end - start)
        throw new Error(`Cannot read "${file}": it was cut short`)
    }
  } finally {
    await handle.close()
  }
}

function linesOf(buffer: Buffer, start: number): readonly { readonly line: string; readonly end: number }[] {
  const lines: { readonly line: string; readonly end: number }[] = []
  for (let from = 0; from < buffer.length;) {
    const to = buffer.indexOf(0x0a, from)
    lines.push({ line: buffer.toString('utf8', from, to), end: start + to + 1 })
    from = to + 1
  }
  return lines
}

/** So that a new file is found after the machine has lost its power. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await fs.open(directory)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
