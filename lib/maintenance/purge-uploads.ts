// Upload sessions that nobody finished: their bytes would stay for ever. A session goes when it was begun, and last
// written to, longer ago than an age that no client takes to come back.
import type { Clock } from '../clock.ts'
import type { StorageConfig } from '../config/config.ts'
import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { UploadId } from '../oci/upload-id.ts'
import { listUploadPlaces } from '../storage/catalog.ts'
import type { StorageDriver } from '../storage/driver/driver.ts'
import type { Uploads } from '../storage/uploads.ts'
import { startSchedule, type Schedule } from './schedule.ts'

export interface PurgeDeps {
  readonly driver: StorageDriver
  readonly uploads: Pick<Uploads, 'list' | 'removeIfStale'>
  readonly clock: Clock
  readonly logger: Logger
  /** Sessions older than this are removed, milliseconds. */
  readonly ageMs: number
  /** Whether it only logs what it would remove. */
  readonly dryRun: boolean
}

export interface PurgeOutcome {
  /** Sessions that were removed or, in a dry run, would have been. */
  readonly removed: number
  /** Sessions that could not be looked at or removed. */
  readonly failed: number
}

/** Looks at every session once. What is wrong with one is logged, and keeps none of the others. */
export async function purgeUploads(deps: PurgeDeps, options: CallOptions = {}): Promise<PurgeOutcome> {
  const { clock, driver, dryRun, logger, uploads } = deps
  const beforeMs = clock.now() - deps.ageMs
  let [removed, failed] = [0, 0]

  async function look(name: RepositoryName, id: UploadId): Promise<void> {
    try {
      if (!(await uploads.removeIfStale(name, id, beforeMs, { dryRun, ...options }))) return
      removed++
      logger.info(
        { repository: name, upload: id },
        dryRun ? 'would remove unfinished upload' : 'removed unfinished upload',
      )
    } catch (err) {
      options.signal?.throwIfAborted()
      // Somebody finished or cancelled it since it was listed, or it is none of ours.
      if (err instanceof RegistryError && err.code === 'BLOB_UPLOAD_UNKNOWN') return
      failed++
      logger.warn({ err, repository: name, upload: id }, 'cannot purge upload')
    }
  }

  logger.info(
    `Upload purge starting: older than ${new Date(beforeMs).toISOString()}${dryRun ? ', dry run' : ''}`,
  )
  for (const name of await listUploadPlaces(driver, options)) {
    for (const id of await uploads.list(name, options)) await look(name, id)
  }
  logger.info(`Upload purge finished: ${removed} ${dryRun ? 'to remove' : 'removed'}, ${failed} failed`)
  return { removed, failed }
}

/** Purges again and again; not where that is off, and not where nothing may be written. */
export function startUploadPurging(
  { readonly, uploadpurging }: Pick<StorageConfig['maintenance'], 'readonly' | 'uploadpurging'>,
  deps: Omit<PurgeDeps, 'ageMs' | 'dryRun'> & { readonly metrics: Pick<Metrics, 'uploadsPurged'> },
): Schedule | undefined {
  const { enabled, ageMs, intervalMs, dryrun: dryRun } = uploadpurging
  if (!enabled || readonly.enabled) return undefined
  const { clock, driver, logger, metrics, uploads } = deps
  return startSchedule({
    name: 'upload purge',
    intervalMs,
    clock,
    logger,
    async run(options) {
      const { removed } = await purgeUploads({ driver, uploads, clock, logger, ageMs, dryRun }, options)
      if (!dryRun) metrics.uploadsPurged.inc(removed)
    },
  })
}
