// Every storage driver there is. A new one is a folder beside this file and one line here.
import type { DriverFactory } from './factory.ts'
import { filesystemFactory } from './filesystem/driver.ts'
import { inMemoryFactory } from './inmemory/driver.ts'

/** The factories by name. */
export const drivers = {
  filesystem: filesystemFactory,
  inmemory: inMemoryFactory,
} satisfies Readonly<Record<string, DriverFactory<unknown>>>

export type DriverName = keyof typeof drivers

/** The configuration of each driver. */
export type DriverConfigs = {
  readonly [N in DriverName]: (typeof drivers)[N] extends DriverFactory<infer C> ? C : never
}
