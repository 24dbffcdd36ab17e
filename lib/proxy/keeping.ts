// What a mirror asks of whoever looks after its disk. The answer lives elsewhere (eviction/): here is only the question,
// so that nothing that fetches needs to know how room is made.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'

export interface Keeping {
  /** Somebody asked for mirrored content that is here. Cheap, in memory; also fine for content that was pushed. */
  used(digest: Digest): void
  /**
   * Makes room for that many bytes of mirrored content, removing older content if need be. False: there is no room, and
   * the content must not be kept. Never rejects but with `signal.reason`. With `digest`, the room is promised to that
   * content until it is stored, or release() is called; without it another may get it first.
   */
  makeRoom(
    sizeBytes: number,
    options?: CallOptions & { readonly digest?: Digest | undefined },
  ): Promise<boolean>
  /** Gives back what was promised and not used. Also fine when there is nothing to give back: it belongs in a finally. */
  release(digest: Digest): void
}

/** Where the disk is not looked after. */
export const keepEverything: Keeping = {
  used() {},
  makeRoom: () => Promise.resolve(true),
  release() {},
}
