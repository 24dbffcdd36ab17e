// What a process that died leaves behind: the staged content of fills that will never end. Another process may share
// the directory, so that only what nobody has written to for long is taken for abandoned. A running fill writes, or
// fails, before: see maxPauseMs, which leaves room for clocks that differ.
//
// What says which blob it was to become, and is long enough, is kept for the next fill of it; all else is removed.
import type { Clock } from '../clock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { PathNotFoundError, type StorageDriver, type StoragePath } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { baseName, digestOfFill, layout } from './layout.ts'

/** A fill that has paused for longer must not write to its file any more: another process may have taken it. */
export const maxPauseMs = 8 * 60 * 1000
/** What is kept of an unfinished fill is at least this long: less is fetched again as fast. */
export const minPartialBytes = 1024 * 1024
/** Nobody goes on with what is older. */
export const maxPartialAgeMs = 24 * 60 * 60 * 1000

const idleMs = 10 * 60 * 1000

export interface AbandonedFillsOptions extends CallOptions {
  /** Whether this process is filling the blob: that is not abandoned, whatever its file looks like. */
  readonly isRunning?: ((digest: Digest) => boolean) | undefined
}

/** Keeps or removes what is left of the abandoned fills, and returns how many there were. */
export async function removeAbandonedFills(
  driver: StorageDriver,
  clock: Clock,
  { isRunning, ...options }: AbandonedFillsOptions = {},
): Promise<number> {
  const fills = (await unlessAbsent(() => driver.list(layout.fills, options))) ?? []
  let found = 0
  for (const fill of fills) {
    if (fill === layout.partialFills) continue
    const digest = digestOfFill(fill)
    if (digest !== undefined && isRunning?.(digest)) continue
    const changedAtMs = await lastChange(driver, fill, options)
    if (changedAtMs === undefined) continue
    const ageMs = clock.now() - changedAtMs
    if (ageMs < idleMs) continue
    const isKept =
      digest !== undefined && ageMs < maxPartialAgeMs && (await keep(driver, fill, digest, options))
    if (!isKept && ageMs < maxPartialAgeMs) continue
    await driver.remove(fill, options)
    found++
  }
  return found
}

/** Whether there was something worth keeping. Where as much of the blob is kept already, that stays. */
async function keep(
  driver: StorageDriver,
  fill: StoragePath,
  digest: Digest,
  options: CallOptions,
): Promise<boolean> {
  const content = layout.fillContent(baseName(fill))
  const partial = layout.partialFill(digest)
  const found = await unlessAbsent(() => driver.stat(content, options))
  if (found === undefined || found.size < minPartialBytes) return false
  const present = await unlessAbsent(() => driver.stat(partial, options))
  if (present !== undefined && present.size >= found.size) return true
  try {
    await driver.move(content, partial, options)
    return true
  } catch (err) {
    if (err instanceof PathNotFoundError) return false // Another process was faster.
    throw err
  }
}

/** Of the folder or what is in it, whichever was later; undefined if it has gone. */
async function lastChange(
  driver: StorageDriver,
  fill: StoragePath,
  options?: CallOptions,
): Promise<number | undefined> {
  let latest = (await unlessAbsent(() => driver.stat(fill, options)))?.modifiedAtMs
  for await (const { modifiedAtMs } of driver.walk(fill, options))
    latest = Math.max(latest ?? 0, modifiedAtMs)
  return latest
}
