// Every storage driver there is. A new one is a folder beside this file and one line here.
import type { DriverFactory } from './factory.ts'
import { filesystemFactory } from './filesystem/driver.ts'
import { inMemoryFactory } from './inmemory/driver.ts'
import { s3awsFactory, s3Factory } from './s3/factory.ts'

/** The factories by name. */
export const drivers = {
  filesystem: filesystemFactory,
  inmemory: inMemoryFactory,
  s3: s3Factory,
  s3aws: s3awsFactory,
} satisfies Readonly<Record<string, DriverFactory<unknown>>>

export type DriverName = keyof typeof drivers

/** The configuration of each driver. */
export type DriverConfigs = {
  readonly [N in DriverName]: (typeof drivers)[N] extends DriverFactory<infer C> ? C : never
}
