// `registry import`: images out of an OCI layout or what `docker save` wrote, into the store of a configuration.
import { readContents, type ArchiveContents } from '../archive/contents.ts'
import { importImages, type ImportEvent } from '../archive/import.ts'
import { openArchive } from '../archive/open-archive.ts'
import { selectImages, type Selected } from '../archive/select.ts'
import { parseSize } from '../config/units.ts'
import { openStoreForPushes } from '../stored-images.ts'
import { readConfiguration } from './configuration.ts'
import { tellingFailures } from './failures.ts'
import type { Io } from './io.ts'
import { formatBytes } from './quantities.ts'
import { printable } from './table.ts'

export interface ImportCommandOptions {
  readonly repository?: string | undefined
  readonly tag?: string | undefined
  readonly all?: boolean | undefined
  readonly allowMissing?: boolean | undefined
  readonly maxSize?: string | undefined
  readonly json?: boolean | undefined
}

const defaultMaxSize = '100GB'

/** Settles with the exit code. */
export function importArchive(
  io: Io,
  source: string,
  config: string | undefined,
  options: ImportCommandOptions,
): Promise<number> {
  return tellingFailures(io, async signal => {
    const { maxSize = defaultMaxSize, allowMissing = false } = options
    const maxBytes = parseSize(maxSize)
    if (maxBytes === undefined)
      throw new Error(`Cannot use --max-size "${maxSize}": expected a size such as 20GB`)
    const loaded = await readConfiguration(config, io)
    const files = await openArchive(source === '-' ? io.stdin : source, { maxBytes, signal })
    try {
      const contents = await readContents(files, signal)
      const selected = selectImages(contents.images, options)
      const store = await openStoreForPushes(loaded.config, allowMissing)
      try {
        const tally = new Tally(io, options.json === true)
        await importImages(store.registry, contents, selected, {
          allowMissing,
          signal,
          observe: event => tally.count(event),
        })
        tally.report(contents, selected)
        return 0
      } finally {
        await store.close()
      }
    } finally {
      await files.close()
    }
  })
}

/** What was done, shown while it is done. */
class Tally {
  readonly #io: Io
  readonly #asJson: boolean
  readonly #missing: { readonly digest: string; readonly what: string }[] = []
  readonly #blobs = { stored: 0, present: 0, storedBytes: 0 }
  #manifests = 0

  constructor(io: Io, asJson: boolean) {
    this.#io = io
    this.#asJson = asJson
  }

  count(event: ImportEvent): void {
    if (event.kind === 'missing') {
      this.#missing.push({ digest: event.digest, what: event.what })
      this.#io.stderr.write(`${printable(`not in the archive: ${event.digest} (${event.what})`)}\n`)
    } else if (event.kind === 'manifest') {
      this.#manifests++
    } else if (event.isNew) {
      this.#blobs.stored++
      this.#blobs.storedBytes += event.size
      this.#io.stderr.write(`stored ${event.digest}, ${formatBytes(event.size)}\n`)
    } else {
      this.#blobs.present++
    }
  }

  report({ format }: ArchiveContents, selected: readonly Selected[]): void {
    const { stored, present, storedBytes } = this.#blobs
    const images = selected.map(({ repository, tags, root: { digest, mediaType } }) => ({
      repository,
      tags,
      digest,
      mediaType,
    }))
    if (this.#asJson) {
      const summary = {
        format,
        images,
        manifests: this.#manifests,
        blobs: this.#blobs,
        missing: this.#missing,
      }
      this.#io.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`)
      return
    }
    for (const { repository, tags, digest } of images) {
      const names = tags.length === 0 ? [repository] : tags.map(tag => `${repository}:${tag}`)
      for (const name of names) this.#io.stdout.write(`${name}@${digest}\n`)
    }
    this.#io.stderr.write(`${stored} blobs stored (${formatBytes(storedBytes)}), ${present} were there\n`)
  }
}
