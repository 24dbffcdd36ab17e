// What this process holds open below a directory, by the word of the kernel.
import { readdirSync, readlinkSync } from 'node:fs'

/** How many descriptors lead below `root`. */
export function openDescriptors(root: string): number {
  return readdirSync('/proc/self/fd').filter(fd => target(fd).startsWith(`${root}/`)).length
}

function target(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return '' // the descriptor of the directory that has just been listed
  }
}
