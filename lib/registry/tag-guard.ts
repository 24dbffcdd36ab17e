// Holds the tag policy against pushes and deletions that happen at once: what a tag means is looked at, and changed,
// under one lock, so that of two pushes of a new immutable tag only one wins. Tags that may move cost nothing.
import { KeyedLock } from '../keyed-lock.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import { CorruptLinkError } from '../storage/links.ts'
import type { TagStore } from '../storage/tag-store.ts'
import { TagImmutableError, type TagPolicy } from './tag-policy.ts'

export class TagGuard {
  readonly #locks = new KeyedLock()
  readonly #policy: TagPolicy
  readonly #tags: Pick<TagStore, 'resolve'>

  constructor({ policy, tags }: { readonly policy: TagPolicy; readonly tags: Pick<TagStore, 'resolve'> }) {
    this.#policy = policy
    this.#tags = tags
  }

  /**
   * Runs `work`, which makes all of `tags` mean `digest`, or removes them where that is undefined. TagImmutableError
   * before anything is done if one of them is immutable and means something else.
   */
  async change<T>(
    name: RepositoryName,
    tags: readonly Tag[],
    digest: Digest | undefined,
    work: () => Promise<T>,
    options?: CallOptions,
  ): Promise<T> {
    const immutable = tags.filter(tag => this.#policy.isImmutable(name, tag))
    const guarded = async () => {
      for (const tag of immutable) {
        const current = await this.#meaning(name, tag, options)
        if (current !== undefined && current !== digest) throw new TagImmutableError(tag, current)
      }
      return work()
    }
    return this.#locks.runAll(
      immutable.map(tag => `${name}:${tag}`),
      guarded,
      options,
    )
  }

  /** For who removes a manifest with its tags, under that manifest's lock: TagImmutableError if one may not go. */
  checkRemoval(name: RepositoryName, tags: readonly Tag[], digest: Digest): void {
    const immutable = tags.find(tag => this.#policy.isImmutable(name, tag))
    if (immutable !== undefined) throw new TagImmutableError(immutable, digest)
  }

  /** Undefined also for a tag that is broken: it means nothing, and must be mendable. */
  async #meaning(name: RepositoryName, tag: Tag, options?: CallOptions): Promise<Digest | undefined> {
    try {
      return await this.#tags.resolve(name, tag, options)
    } catch (err) {
      if (err instanceof CorruptLinkError) return undefined
      throw err
    }
  }
}
