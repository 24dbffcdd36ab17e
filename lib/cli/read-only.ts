// `registry readonly`: whether a running server takes writes.
import { tellingFailures } from './failures.ts'
import type { Io } from './io.ts'
import { askReadOnly, findPlace, type Place } from './maintenance-client.ts'

/** Settles with the exit code. */
export function switchReadOnly(what: string, place: Place, io: Io): Promise<number> {
  return tellingFailures(io, async signal => {
    if (!['on', 'off', 'status'].includes(what))
      throw new Error(`Cannot "${what}": expected on, off or status`)
    const found = await findPlace(place, io, { signal })
    if (found.kind === 'offline')
      throw new Error('Cannot find a running server at http.debug.addr; is it running? Or give --server URL')
    const isOn = await askReadOnly(found.url, what === 'status' ? undefined : what === 'on', { signal })
    io.stdout.write(`read-only is ${isOn ? 'on' : 'off'}\n`)
    return 0
  })
}
