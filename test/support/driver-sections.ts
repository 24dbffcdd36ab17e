// The configuration sections of the real storage drivers, as `registry serve` hands them to the loader.
import type { Section } from '../../lib/config/schema.ts'
import { drivers } from '../../lib/storage/driver/drivers.ts'

export const driverSections: Readonly<Record<string, Section<unknown>>> = Object.fromEntries(
  Object.entries(drivers).map(([name, { section }]) => [name, section]),
)
