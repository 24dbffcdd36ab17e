// A page of referrers under construction: it ends at the limit that was asked for, or before its JSON would exceed what
// clients read of a manifest, as each entry may carry megabytes of annotations.
import type { ManifestEntry } from '../oci/descriptor.ts'
import { maxManifestBytes } from '../oci/manifest.ts'
import type { Page, PageOf } from './page.ts'

/** Leaves room for the index around the entries. */
const maxEntriesBytes = maxManifestBytes - 1024

export class ReferrerPage {
  readonly #items: ManifestEntry[] = []
  readonly #limit: number
  #bytes = 0
  #isFull = false

  constructor({ limit = Infinity }: Page) {
    this.#limit = limit
  }

  /** Whether the page took the entry; once it did not, it takes no further one. The first one always fits. */
  take(entry: ManifestEntry): boolean {
    if (this.#isFull) return false
    const bytes = Buffer.byteLength(JSON.stringify(entry)) + 1
    const isTooLong = this.#items.length > 0 && this.#bytes + bytes > maxEntriesBytes
    if (isTooLong || this.#items.length >= this.#limit) {
      this.#isFull = true
      return false
    }
    this.#items.push(entry)
    this.#bytes += bytes
    return true
  }

  /** `more`: an entry was refused. */
  end(): PageOf<ManifestEntry> {
    return { items: this.#items, more: this.#isFull }
  }
}
