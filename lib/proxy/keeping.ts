// What a mirror asks of whoever looks after its disk. The answer lives elsewhere (eviction/): here is only the question,
// so that nothing that fetches needs to know how room is made.
import type { CallOptions } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'

export interface Keeping {
  /** Somebody asked for mirrored content that is here. Cheap, in memory; also fine for content that was pushed. */
  used(digest: Digest): void
  /**
   * Makes room for that many bytes of mirrored content, removing older content if need be. False: there is no room, and
   * the content must not be kept. Never rejects but with `signal.reason`.
   */
  makeRoom(sizeBytes: number, options?: CallOptions): Promise<boolean>
}

/** Where the disk is not looked after. */
export const keepEverything: Keeping = {
  used() {},
  makeRoom: () => Promise.resolve(true),
}
