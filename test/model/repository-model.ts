// What a repository is, as simply as it can be said: three sets. A step changes them at once and has one right answer.
import { at, blobs, manifests, tags, type ReferrerDescriptor, type WorldManifest } from './world.ts'

/** Something a client does to a repository; numbers are those of world.ts. */
export type Step =
  | { readonly do: 'push blob'; readonly blob: number; readonly way: 'post' | 'put' | 'chunks' }
  | { readonly do: 'mount blob'; readonly blob: number; readonly from: string }
  | { readonly do: 'delete blob'; readonly blob: number }
  | { readonly do: 'push manifest'; readonly manifest: number; readonly tag: number | undefined }
  | { readonly do: 'delete manifest'; readonly manifest: number }
  | { readonly do: 'delete tag'; readonly tag: number }

/** What a step is answered: what it did, or the code of the error and the digests its details name. */
export interface Outcome {
  readonly answer: 'done' | 'not mounted' | 'BLOB_UNKNOWN' | 'MANIFEST_UNKNOWN' | 'MANIFEST_BLOB_UNKNOWN'
  readonly missing?: readonly string[]
}

/** Everything a client can see of a repository. */
export interface View {
  readonly blobs: readonly string[]
  readonly manifests: readonly string[]
  readonly tags: Readonly<Record<string, string>>
  /** By subject, sorted by digest; subjects that have none are left out. */
  readonly referrers: Readonly<Record<string, readonly ReferrerDescriptor[]>>
}

export class RepositoryModel {
  readonly #blobs = new Set<string>()
  readonly #manifests = new Set<WorldManifest>()
  readonly #tags = new Map<string, string>()

  /** Changes the model. `holds` tells whether another repository has a blob. */
  apply(step: Step, holds: (repository: string, digest: string) => boolean): Outcome {
    switch (step.do) {
      case 'push blob':
        this.#blobs.add(at(blobs, step.blob).digest)
        return { answer: 'done' }
      case 'mount blob': {
        const { digest } = at(blobs, step.blob)
        if (!holds(step.from, digest)) return { answer: 'not mounted' }
        this.#blobs.add(digest)
        return { answer: 'done' }
      }
      case 'delete blob':
        return { answer: this.#blobs.delete(at(blobs, step.blob).digest) ? 'done' : 'BLOB_UNKNOWN' }
      case 'push manifest':
        return this.#push(at(manifests, step.manifest), step.tag)
      case 'delete manifest':
        return this.#delete(at(manifests, step.manifest))
      case 'delete tag':
        return { answer: this.#tags.delete(at(tags, step.tag)) ? 'done' : 'MANIFEST_UNKNOWN' }
      default:
        return step satisfies never
    }
  }

  holdsBlob(digest: string): boolean {
    return this.#blobs.has(digest)
  }

  view(): View {
    const referrers: Record<string, ReferrerDescriptor[]> = {}
    for (const { subject, descriptor } of this.#manifests) {
      if (subject !== undefined) (referrers[subject] ??= []).push(descriptor)
    }
    return {
      blobs: [...this.#blobs].toSorted(),
      manifests: [...this.#manifests].map(({ digest }) => digest).toSorted(),
      tags: Object.fromEntries([...this.#tags].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      referrers: sortedReferrers(referrers),
    }
  }

  #push(manifest: WorldManifest, tag: number | undefined): Outcome {
    const held = new Set([...this.#manifests].map(({ digest }) => digest))
    const missing = [
      ...manifest.blobs.filter(digest => !this.#blobs.has(digest)),
      ...manifest.manifests.filter(digest => !held.has(digest)),
    ]
    if (missing.length > 0) return { answer: 'MANIFEST_BLOB_UNKNOWN', missing: missing.toSorted() }
    this.#manifests.add(manifest)
    if (tag !== undefined) this.#tags.set(at(tags, tag), manifest.digest)
    return { answer: 'done' }
  }

  #delete(manifest: WorldManifest): Outcome {
    if (!this.#manifests.delete(manifest)) return { answer: 'MANIFEST_UNKNOWN' }
    for (const [tag, digest] of this.#tags) {
      if (digest === manifest.digest) this.#tags.delete(tag)
    }
    return { answer: 'done' }
  }
}

/** The order of referrers is nobody's promise: by subject, then by digest, to compare them. */
export function sortedReferrers(
  referrers: Readonly<Record<string, readonly ReferrerDescriptor[]>>,
): Record<string, readonly ReferrerDescriptor[]> {
  return Object.fromEntries(
    Object.entries(referrers)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([subject, list]) => [subject, list.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))]),
  )
}
