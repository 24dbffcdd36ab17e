// Lines on their way to stdout or stderr. They are written without waiting for whoever reads them: a reader that is
// slow, stuck or gone holds up nothing, and costs a bounded amount of memory.
import { pino } from 'pino'

/** Characters that may wait; lines beyond it are lost. */
const maxWaiting = 16 * 1024 * 1024

/** Takes whole lines. What waits is written at the end of the process. */
export function openOutput(fd: 1 | 2): (line: string) => void {
  const output = pino.destination({ fd, sync: false, maxLength: maxWaiting })
  // A full disk, for example. There is nobody whom we could tell, and the registry goes on; pino sees to EPIPE.
  output.on('error', () => {})
  return line => void output.write(line)
}
