// What this process has open, for tests that nothing stays so.
import fs from 'node:fs'

/** Descriptors of this process that are open on files below `root`. */
export function openDescriptorsBelow(root: string): number {
  return fs.readdirSync('/proc/self/fd').filter(fd => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(root)
    } catch {
      return false
    }
  }).length
}
