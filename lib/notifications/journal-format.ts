// How waiting events lie on disk: one a line, each after the CRC-32 of its text, in files that are named by number. What
// is not whole is recognised, so that a crash in the middle of a write costs nothing but that write.
import fs from 'node:fs/promises'
import path from 'node:path'
import { crc32 } from 'node:zlib'

const checkLength = 8

/** Any text; what is in it must come back as it is, line breaks included. */
export function formatRecord(text: string): string {
  const line = JSON.stringify(text)
  return `${checkOf(line)} ${line}\n`
}

/** The text of a line without its end; undefined if it is not whole. */
export function parseRecord(line: string): string | undefined {
  const json = line.slice(checkLength + 1)
  if (line.slice(0, checkLength) !== checkOf(json)) return undefined
  return JSON.parse(json) as string
}

function checkOf(line: string): string {
  return crc32(line).toString(16).padStart(checkLength, '0')
}

export function segmentName(index: number): string {
  return `${String(index).padStart(12, '0')}.events`
}

/** How far delivery has got: everything before `end` of that segment, and all earlier segments. */
export interface Delivered {
  readonly segment: string
  readonly end: number
}

const deliveredFile = 'delivered'

export function deliveredPath(directory: string): string {
  return path.join(directory, deliveredFile)
}

/** Always of the same length: it is written over the one before. */
export function formatDelivered({ segment, end }: Delivered): string {
  return formatRecord(`${segment} ${String(end).padStart(12, '0')}`)
}

async function readDelivered(directory: string): Promise<Delivered | undefined> {
  const content = await fs.readFile(deliveredPath(directory), 'utf8').catch(() => '')
  const [segment, end] = parseRecord(content.trimEnd())?.split(' ') ?? []
  return segment === undefined || end === undefined ? undefined : { segment, end: Number(end) }
}

/** What a process that is gone has not delivered, oldest first. `onTorn` hears of what was cut off. */
export async function* readLeftover(
  directory: string,
  onTorn: (segment: string) => void,
): AsyncGenerator<string> {
  const delivered = await readDelivered(directory)
  const names = (await fs.readdir(directory)).filter(name => name.endsWith('.events')).sort()
  for (const name of names) {
    if (delivered !== undefined && name < delivered.segment) continue
    const content = await fs.readFile(path.join(directory, name))
    const start = name === delivered?.segment ? delivered.end : 0
    const lines = content.subarray(start).toString('utf8').split('\n')
    const rest = lines.pop() ?? ''
    const texts = lines.map(parseRecord)
    const whole = texts.filter(text => text !== undefined)
    if (rest !== '' || whole.length < texts.length) onTorn(name)
    yield* whole
  }
}
