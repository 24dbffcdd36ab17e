// What every Registry must do, whatever is behind it: the local one, one that mirrors, and wrappers around either.
// A test file hands in how its registry is opened and gets one subtest for each promise of lib/registry/registry.ts.
//
// The registry must be empty, take pushes and allow deletion; a mirror's upstream must have none of the content.
import type { Test } from 'tap'
import type { Registry } from '../../lib/registry/registry.ts'
import { blobSuite } from './suite/blobs.ts'
import { manifestSuite } from './suite/manifests.ts'
import { referrerSuite } from './suite/referrers.ts'
import { tagSuite } from './suite/tags.ts'
import { uploadSuite } from './suite/uploads.ts'

export interface RegistrySuiteOptions {
  /** Opens an empty registry, which ends with the test it is handed. */
  open(t: Test): Promise<Registry>
}

export function registrySuite(t: Test, { open }: RegistrySuiteOptions): void {
  blobSuite(t, open)
  uploadSuite(t, open)
  manifestSuite(t, open)
  tagSuite(t, open)
  referrerSuite(t, open)
}
