// What is known of the tags that came from an upstream: the digest it gave, what is served of it, what it gave before,
// and when it last said so. A tag without a record, or whose link is none of `digest`, `served` and `previous`, was
// pushed here and is nobody else's to move.
//
// The record is made durable before the tag's link moves, and names the digest before as well, so that a crash between
// the two cannot make a mirrored tag look like a pushed one. That an upstream said the same again is kept in memory
// only: after a restart it is asked once more.
import { LRUCache } from 'lru-cache'
import * as z from 'zod'
import type { CallOptions } from '../oci/descriptor.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { PathNotFoundError, type StorageDriver } from './driver/driver.ts'
import { layout } from './layout.ts'

export interface MirroredTag {
  /** What the upstream says that the tag means. */
  readonly digest: Digest
  /** What the tag's link is to name, where that is not `digest`: a digest that is held back does not move it. */
  readonly served?: Digest | undefined
  /** What the tag's link named before. */
  readonly previous?: Digest | undefined
  /** Name of the upstream that said so. */
  readonly upstream: string
  /** When it last did, milliseconds since the epoch; 0: not known. */
  readonly checkedAtMs: number
  /** What the upstream gave in the course of time, newest first; records of earlier versions have none. */
  readonly history?: readonly TagSighting[] | undefined
}

/** A digest that an upstream gave for a tag; both times in milliseconds since the epoch. */
export interface TagSighting {
  readonly digest: Digest
  readonly firstSeenMs: number
  /** Of the newest one: when it was written down. MirroredTag.checkedAtMs is when it was seen last. */
  readonly lastSeenMs: number
}

export interface MirroredTags {
  get(name: RepositoryName, tag: Tag, options?: CallOptions): Promise<MirroredTag | undefined>
  /** What storage says at this moment, which another process may have changed. */
  stored(name: RepositoryName, tag: Tag, options?: CallOptions): Promise<MirroredTag | undefined>
  /** Durable; to be called before the tag's link is moved. */
  set(name: RepositoryName, tag: Tag, record: MirroredTag, options?: CallOptions): Promise<void>
  /** The upstream still says so. */
  renew(name: RepositoryName, tag: Tag, record: MirroredTag): void
  forget(name: RepositoryName, tag: Tag, options?: CallOptions): Promise<void>
}

/** Whether what the tag's link says came from the upstream. */
export function isMirrored(record: MirroredTag | undefined, current: Digest): boolean {
  return record !== undefined && [record.digest, record.served, record.previous].includes(current)
}

/** What the tag's link is to name. */
export function servedDigest({ digest, served }: MirroredTag): Digest {
  return served ?? digest
}

const digest = z.string().refine(isDigest)
const schema = z.object({
  digest,
  served: digest.optional(),
  previous: digest.optional(),
  upstream: z.string(),
  checkedAtMs: z.number(),
  // A broken history is forgotten. Without the rest of the record, the tag would be taken for a pushed one.
  history: z
    .array(z.object({ digest, firstSeenMs: z.number(), lastSeenMs: z.number() }))
    .optional()
    .catch(undefined),
})

export function createMirroredTags(driver: StorageDriver, maxInMemory = 10_000): MirroredTags {
  const recent = new LRUCache<string, MirroredTag>({ max: maxInMemory })
  const key = (name: RepositoryName, tag: Tag) => `${name}:${tag}`
  let changes = 0 // What was read from storage before a change must not be remembered after it.

  async function read(
    name: RepositoryName,
    tag: Tag,
    options?: CallOptions,
  ): Promise<MirroredTag | undefined> {
    try {
      const text = (await driver.readAll(layout.mirroredTag(name, tag), options)).toString()
      return schema.safeParse(parseJson(text)).data
    } catch (err) {
      if (err instanceof PathNotFoundError) return undefined
      throw err
    }
  }

  return {
    async get(name, tag, options) {
      const known = recent.get(key(name, tag))
      if (known !== undefined) return known
      const before = changes
      const record = await read(name, tag, options)
      if (record !== undefined && changes === before) recent.set(key(name, tag), record)
      return record
    },
    async stored(name, tag, options) {
      const record = await read(name, tag, options)
      if (record === undefined) recent.delete(key(name, tag))
      return record
    },
    async set(name, tag, record, options) {
      await driver.writeAll(layout.mirroredTag(name, tag), Buffer.from(JSON.stringify(record)), options)
      changes++
      recent.set(key(name, tag), record)
    },
    renew(name, tag, record) {
      changes++
      recent.set(key(name, tag), record)
    },
    async forget(name, tag, options) {
      recent.delete(key(name, tag))
      await driver.remove(layout.mirroredTag(name, tag), options)
      changes++
      recent.delete(key(name, tag))
    },
  }
}

/** A record that was cut off is no record. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
