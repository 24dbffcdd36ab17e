// Which process a directory of waiting events belongs to, and whether that still lives. On one machine the system knows;
// of a process elsewhere, or in another container, we know that it touched its file not long ago.
import fs from 'node:fs/promises'
import path from 'node:path'

export interface Owner {
  /** Of the machine's start, and of the space that `pid` is counted in. */
  readonly boot: string
  readonly space: string
  readonly pid: number
  /** When the process began, in the system's own count: pids are used again. */
  readonly started: string
}

export type OwnerState = 'alive' | 'gone'

const ownerFile = 'owner'
const closedMark = 'closed'
export const beatMs = 20_000
/** A process that did not touch its file for so long is gone. */
const silentMs = 90_000

/** This process; undefined where the system does not tell. */
export async function identify(): Promise<Owner | undefined> {
  try {
    return {
      boot: (await fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
      space: await fs.readlink('/proc/self/ns/pid'),
      pid: process.pid,
      started: await startOf(process.pid),
    }
  } catch {
    return undefined
  }
}

/** Says that `directory` is this process's, and that it lives. Rejects if the directory has gone. */
export async function signOwner(directory: string, owner: Owner | undefined): Promise<void> {
  await fs.writeFile(path.join(directory, ownerFile), JSON.stringify(owner ?? {}), { mode: 0o600 })
}

/** Leaves `directory` to whoever comes. */
export async function resign(directory: string): Promise<void> {
  await fs.writeFile(path.join(directory, ownerFile), closedMark)
}

/** `own` is a directory that this process has signed just now: its time is the store's, whose clock may differ. */
export async function stateOf(directory: string, own: string, self: Owner | undefined): Promise<OwnerState> {
  const file = path.join(directory, ownerFile)
  const content = await fs.readFile(file, 'utf8').catch(() => '')
  if (content === closedMark) return 'gone'
  const owner = parseOwner(content)
  if (owner !== undefined && self !== undefined && owner.boot === self.boot && owner.space === self.space) {
    return (await startOf(owner.pid).catch(() => undefined)) === owner.started ? 'alive' : 'gone'
  }
  const touched = await fs.stat(file).catch(() => fs.stat(directory))
  const now = await fs.stat(path.join(own, ownerFile))
  return now.mtimeMs - touched.mtimeMs > silentMs ? 'gone' : 'alive'
}

function parseOwner(content: string): (Partial<Owner> & { readonly pid: number }) | undefined {
  try {
    const owner = JSON.parse(content) as Partial<Owner>
    return typeof owner.pid === 'number' ? { ...owner, pid: owner.pid } : undefined
  } catch {
    return undefined
  }
}

/** Field 22 of its stat; the name in field 2 may hold spaces and brackets. */
async function startOf(pid: number): Promise<string> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}
