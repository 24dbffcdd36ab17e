// Most of what is looked for in a store may rightly not be there.
import { PathNotFoundError } from './driver.ts'

/** What `call` gives; undefined where it throws PathNotFoundError. */
export async function unlessAbsent<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call()
  } catch (err) {
    if (err instanceof PathNotFoundError) return undefined
    throw err
  }
}
