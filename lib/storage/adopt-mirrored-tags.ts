// Takes over a directory that distribution filled as a mirror. It keeps its schedule of expiry at the storage's root, and
// a mirror of its accepts no pushes, so that all tags there came from its upstream; without records of that they would
// pass for pushed ones, and never move again.
//
// That is true of the directory as it is found, and once only: tags without a record that come later were pushed to us.
// So the marker is written twice. Its first text says that an adoption has begun, which a start after a crash goes on
// with; its last, that there is nothing to adopt any more. A directory that has records but no marker was ours already.
import { inParallel } from '../in-parallel.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { adoptMirroredContent } from './adopt-mirrored-content.ts'
import { listRepositories } from './catalog.ts'
import type { StorageDriver } from './driver/driver.ts'
import { unlessAbsent } from './driver/unless-absent.ts'
import { baseName, layout } from './layout.ts'
import { CorruptLinkError, readLink } from './links.ts'
import type { MirroredTag } from './mirrored-tags.ts'
import { createTagStore } from './tag-store.ts'

/** Records that are written at once. */
const concurrency = 8

/** Its mirror writes the schedule soon after it has stored something. What is younger came when it ran no more. */
const scheduleLagMs = 60_000

/**
 * To be called before anything is served, and before anything else of ours is written there. Marks what is linked there
 * as the mirror's own, and writes a record for each tag that has none; it says when the tag was set, and that the
 * upstream has to be asked. Returns how many were written; undefined where there is nothing to adopt.
 */
export async function adoptMirroredTags(
  driver: StorageDriver,
  upstreamName: string,
  options?: CallOptions,
): Promise<number | undefined> {
  const schedule = await unlessAbsent(() => driver.stat(layout.schedulerState, options))
  if (schedule === undefined) return undefined
  const progress = (await unlessAbsent(() => driver.readAll(layout.adopted, options)))?.toString()
  if (progress === 'adopted') return undefined
  if (progress === undefined && (await hasRecords(driver, options))) return undefined
  await driver.writeAll(layout.adopted, Buffer.from('adopting'), options)
  await adoptMirroredContent(driver, schedule.modifiedAtMs + scheduleLagMs, options)
  const tags = createTagStore({ driver, concurrency })
  let adopted = 0
  for (const name of await listRepositories(driver, options)) {
    const names = (await tags.list(name, options)) ?? []
    const written = await inParallel(concurrency, names, tag =>
      adopt(driver, { name, tag, upstream: upstreamName }, options),
    )
    adopted += written.filter(Boolean).length
  }
  await driver.writeAll(layout.adopted, Buffer.from('adopted'), options)
  return adopted
}

/** Whether tags were mirrored here by us. */
async function hasRecords(driver: StorageDriver, options?: CallOptions): Promise<boolean> {
  const below = (await unlessAbsent(() => driver.list(layout.mirrorRecords, options))) ?? []
  return below.some(path => !baseName(path).startsWith('_'))
}

/** Returns whether a record was written: not where there is one, nor for a tag that means nothing. */
async function adopt(
  driver: StorageDriver,
  { name, tag, upstream }: { readonly name: RepositoryName; readonly tag: Tag; readonly upstream: string },
  options?: CallOptions,
): Promise<boolean> {
  const path = layout.mirroredTag(name, tag)
  if ((await unlessAbsent(() => driver.stat(path, options))) !== undefined) return false
  const link = layout.tagCurrent(name, tag)
  try {
    const digest = await readLink(driver, link, options)
    if (digest === undefined) return false
    const { modifiedAtMs } = await driver.stat(link, options)
    const history = [{ digest, firstSeenMs: modifiedAtMs, lastSeenMs: modifiedAtMs }]
    const record: MirroredTag = { digest, upstream, checkedAtMs: 0, history }
    await driver.writeAll(path, Buffer.from(JSON.stringify(record)), options)
    return true
  } catch (err) {
    if (err instanceof CorruptLinkError) return false
    throw err
  }
}
