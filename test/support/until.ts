// Waiting for what a test cannot be told of: the condition is looked at once in every turn of the event loop.
import { setImmediate as turn } from 'node:timers/promises'

/** Resolves when `condition` holds; the test's own timeout is the limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await turn()
}
