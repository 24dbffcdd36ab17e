// What every storage driver and every wrapper has to do: the contract of lib/storage/driver/driver.ts as tests. Each
// test gets a driver of its own from `open`, with checked() put around it, as it is in use. To add a test, write it
// here (files) or in suite-writers.ts (writers), and every driver has to pass it.
import { setImmediate } from 'node:timers/promises'
import type { Test } from 'tap'
import type { FileInfo, StorageDriver, StoragePath } from '../../../lib/storage/driver/driver.ts'
import { checked } from '../../../lib/storage/driver/wrap/checked.ts'
import { testReads } from './suite-reads.ts'
import { testTrees } from './suite-trees.ts'
import { testWriters } from './suite-writers.ts'

/** A driver to be tested. */
export interface Subject {
  readonly driver: StorageDriver
  /** How many descriptors, sockets and the like it holds; none may be left when a test ends. */
  openHandles?(): number
}

export interface Suite {
  /** An empty driver; clears up with t.teardown. */
  open(t: Test): Promise<Subject>
  /** Whether it is an object store, where a name may be that of a file and of a directory at the same time. */
  readonly isFlat?: boolean
}

/** Runs a test named `name` with a driver of its own. */
export type DriverTest = (name: string, run: (t: Test, driver: StorageDriver) => Promise<void>) => void

/** Adds all tests of the contract to `t`. */
export function driverSuite(t: Test, suite: Suite): void {
  const test: DriverTest = (name, run) => {
    void t.test(name, async t => {
      const subject = await suite.open(t)
      const driver = checked(subject.driver)
      await run(t, driver)
      await until(() => (subject.openHandles?.() ?? 0) === 0)
      await driver.close()
    })
  }
  testReads(test, suite)
  testWriters(test)
  testTrees(test, suite)
}

/** A path written out in a test, right or wrong. */
export function at(text: string): StoragePath {
  return text as StoragePath
}

/** Settles when `condition` holds; what else the process has to do goes on meanwhile. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate()
}

/** Every file's path that a walk comes to. */
export async function walked(
  driver: StorageDriver,
  prefix: string,
  after?: string,
): Promise<readonly string[]> {
  const files: FileInfo[] = []
  for await (const file of driver.walk(at(prefix), after === undefined ? {} : { after: at(after) }))
    files.push(file)
  return files.map(({ path }) => path)
}

/** `bytes` bytes in which every place can be told from its neighbours, and which are no UTF-8. */
export function pattern(bytes: number): Buffer {
  const content = Buffer.alloc(bytes)
  for (let i = 0; i < bytes; i++) content[i] = (i * 7 + (i >>> 8) * 13 + (i >>> 16)) | 0x80
  return content
}
