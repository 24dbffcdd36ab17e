// The parameters of the filesystem driver, as distribution has them below `storage.filesystem`.
import { integer, optional, piece, section, type Section } from '../../../config/schema.ts'

export interface FilesystemConfig {
  /** The directory that holds everything; it is created when something is first written. */
  readonly rootdirectory: string
  /** How many calls may be under way at a time, at least 25. */
  readonly maxthreads: number
}

const leastThreads = 25

// Text only, and some: an empty path would be the working directory.
const directory = piece('the path of a directory', input =>
  typeof input === 'string' && input !== '' ? input : undefined,
)

/** `rootdirectory` (/var/lib/registry) and `maxthreads` (100): less than 25 counts as 25, as in distribution. */
export const filesystemSection: Section<FilesystemConfig> = {
  schema: section({
    rootdirectory: optional(directory, '/var/lib/registry'),
    maxthreads: optional(integer(0), 100).transform(threads => Math.max(leastThreads, threads)),
  }),
}
