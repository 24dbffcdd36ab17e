// `registry export`: an image of the store as an OCI layout in a tar, or as `docker save` would write it.
import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { exportDocker } from '../archive/export-docker.ts'
import { exportOci } from '../archive/export-oci.ts'
import { gather, pick } from '../archive/gather.ts'
import { writeTar, type TarWriter } from '../archive/tar-writer.ts'
import type { Descriptor, Platform } from '../oci/descriptor.ts'
import { parseDigest } from '../oci/digest.ts'
import { machinePlatform, parsePlatform } from '../oci/platform.ts'
import { digestReference, parseTag, tagReference, type Reference, type Tag } from '../oci/reference.ts'
import { parseRepositoryName, type RepositoryName } from '../oci/repository-name.ts'
import type { Repository } from '../registry/registry.ts'
import { openStoredImages } from '../stored-images.ts'
import { readConfiguration } from './configuration.ts'
import { tellingFailures } from './failures.ts'
import type { Io } from './io.ts'

export interface ExportCommandOptions {
  readonly format?: string | undefined
  readonly output?: string | undefined
  readonly platform?: string | undefined
  readonly withReferrers?: boolean | undefined
  readonly allowMissing?: boolean | undefined
}

interface Image {
  readonly name: RepositoryName
  readonly tag: Tag | undefined
  readonly reference: Reference
}

type Job = (tar: TarWriter) => Promise<void>

/** Settles with the exit code. */
export function exportImage(
  io: Io,
  text: string,
  config: string | undefined,
  options: ExportCommandOptions,
): Promise<number> {
  return tellingFailures(io, async signal => {
    const { format = 'oci', output = '-' } = options
    const image = parseImage(text)
    const platform = platformOf(options)
    if (output === '-' && io.stdout.isTTY === true)
      throw new Error('Cannot write a tar to a terminal: say --output FILE')
    const loaded = await readConfiguration(config, io)
    const store = await openStoredImages(loaded.config)
    try {
      const repository = store.registry.repository(image.name)
      const prepare = format === 'docker' ? prepareDocker : prepareOci
      const job = await prepare(repository, image, { ...options, platform, io, signal })
      if (output === '-') await writeTar(binaryOut(io), { end: false, signal }, job)
      else await writeFile(output, signal, job)
      return 0
    } finally {
      await store.close()
    }
  })
}

interface Preparation {
  readonly platform: Platform | undefined
  readonly withReferrers?: boolean | undefined
  readonly allowMissing?: boolean | undefined
  readonly io: Io
  readonly signal: AbortSignal
}

/** Everything is looked for before the first byte is written. */
async function prepareOci(
  repository: Repository,
  { reference, tag }: Image,
  { platform, withReferrers, allowMissing, io, signal }: Preparation,
): Promise<Job> {
  const gathered = await gather(repository, reference, { withReferrers, platform, signal })
  for (const { digest, mediaType } of gathered.missing)
    io.stderr.write(`not in the store: ${digest} (${mediaType})\n`)
  if (gathered.missing.length > 0 && allowMissing !== true) throw lacking(gathered.missing)
  return tar => exportOci(tar, repository, gathered, { tag, signal })
}

async function prepareDocker(
  repository: Repository,
  { name, reference, tag }: Image,
  { platform = machinePlatform(), withReferrers, signal }: Preparation,
): Promise<Job> {
  if (withReferrers === true)
    throw new Error('Cannot export referrers in the format of Docker: it has no place for them')
  const top = await repository.manifests.get(reference, { signal })
  const manifest = await pick(repository, top, platform, signal)
  const { missing } = await gather(repository, digestReference(manifest.descriptor.digest), { signal })
  if (missing.length > 0) throw lacking(missing)
  return tar => exportDocker(tar, repository, manifest, { name: tag && `${name}:${tag}`, signal })
}

function lacking(missing: readonly Descriptor[]): Error {
  const [first] = missing
  return new Error(
    `Cannot export: ${missing.length} parts are not in the store, such as ${first?.digest ?? ''}; ` +
      'choose a --platform that is, or export without them by --allow-missing',
  )
}

/** The file is there when it is complete. */
async function writeFile(path: string, signal: AbortSignal, job: Job): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`
  const file = await open(temporary, 'wx', 0o644)
  try {
    await writeTar(file.createWriteStream({ flush: true }), { end: true, signal }, job)
    await rename(temporary, path)
  } catch (err) {
    await file.close().catch(() => {})
    await rm(temporary, { force: true })
    throw err
  }
}

function binaryOut({ binaryOut: out }: Io): Writable {
  if (out === undefined) throw new Error('Cannot write a tar to standard output here')
  return out
}

/** As the store has it: unlike in other places, a host would be a part of the name. */
function parseImage(text: string): Image {
  const [before = '', digest] = text.split('@', 2)
  const colon = before.lastIndexOf(':')
  const name = parseRepositoryName(colon < 0 ? before : before.slice(0, colon))
  const tag = colon < 0 ? undefined : parseTag(before.slice(colon + 1))
  if (digest !== undefined) return { name, tag, reference: digestReference(parseDigest(digest)) }
  const meant = tag ?? parseTag('latest')
  return { name, tag: meant, reference: tagReference(meant) }
}

function platformOf({ platform: text }: ExportCommandOptions): Platform | undefined {
  if (text === undefined) return undefined
  const platform = parsePlatform(text)
  if (platform === undefined)
    throw new Error(`Cannot use --platform "${text}": expected one such as linux/amd64`)
  return platform
}
