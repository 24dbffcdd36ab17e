// The checks that a configuration can ask for. Each rejects with what is wrong, in time even where nobody answers.
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { parseAddress } from '../../config/address.ts'
import type { HealthConfig } from '../../config/health.ts'
import { abortable } from '../../keyed-lock.ts'
import { redactUrl } from '../../log.ts'
import { PathNotFoundError, type StorageDriver, type StoragePath } from '../../storage/driver/driver.ts'
import type { Check } from './health.ts'

const root = '/' as StoragePath
const storageTimeoutMs = 5000

export function checksOf({ storagedriver, file, http, tcp }: HealthConfig, driver: StorageDriver): Check[] {
  const { enabled, ...timing } = storagedriver
  return [
    ...(enabled
      ? [
          {
            ...timing,
            name: `storagedriver_${driver.name}`,
            run: (signal: AbortSignal) => askStorage(driver, signal),
          },
        ]
      : []),
    ...file.map(one => ({ ...one, name: one.file, run: () => expectNoFile(one.file) })),
    ...http.map(one => ({
      ...one,
      name: redactUrl(one.uri),
      run: (signal: AbortSignal) => expectStatus(one, signal),
    })),
    ...tcp.map(one => ({
      ...one,
      name: one.addr,
      run: (signal: AbortSignal) => expectListener(one, signal),
    })),
  ]
}

/** Rejects if the store does not answer; one without any content is all right. */
export async function askStorage(driver: StorageDriver, signal?: AbortSignal): Promise<void> {
  const limit = limited(storageTimeoutMs, signal)
  try {
    // A driver may not hear of the signal where the system call hangs.
    await abortable(driver.stat(root, { signal: limit }), limit)
  } catch (err) {
    if (!(err instanceof PathNotFoundError)) throw said(err, storageTimeoutMs)
  }
}

/** An operator takes the registry out of service by making the file. */
async function expectNoFile(path: string): Promise<void> {
  try {
    await stat(path)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return
    throw err
  }
  throw new Error('file exists')
}

async function expectStatus(
  { uri, headers, statuscode, timeoutMs }: HealthConfig['http'][number],
  signal: AbortSignal,
): Promise<void> {
  const url = new URL(uri)
  const sent = new Headers()
  for (const [name, values] of Object.entries(headers)) for (const value of values) sent.append(name, value)
  if (url.username !== '' || url.password !== '') {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    if (!sent.has('Authorization'))
      sent.set('Authorization', `Basic ${Buffer.from(credentials).toString('base64')}`)
    url.username = ''
    url.password = ''
  }
  let status: number
  try {
    const answer = await fetch(url, { method: 'HEAD', headers: sent, signal: limited(timeoutMs, signal) })
    status = answer.status
  } catch (err) {
    throw said(err, timeoutMs)
  }
  if (status !== statuscode) throw new Error(`unexpected status: ${status}, expected ${statuscode}`)
}

async function expectListener(
  { addr, timeoutMs }: HealthConfig['tcp'][number],
  signal: AbortSignal,
): Promise<void> {
  const address = parseAddress(addr)
  if (address === undefined) throw new TypeError(`Cannot connect to "${addr}": not of the form host:port`)
  const socket = connect({ host: address.host || 'localhost', port: address.port })
  try {
    await once(socket, 'connect', { signal: limited(timeoutMs, signal) })
  } catch (err) {
    throw said(err, timeoutMs)
  } finally {
    socket.on('error', () => {}) // what comes after the answer
    socket.destroy()
  }
}

function limited(timeoutMs: number, signal: AbortSignal | undefined): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMs)
  return signal === undefined ? timeout : AbortSignal.any([timeout, signal])
}

/** The reason of a timeout tells neither that nor how long it was. */
function said(err: unknown, timeoutMs: number): unknown {
  const { name, cause } = err as { readonly name?: unknown; readonly cause?: unknown }
  const isTimeout =
    name === 'TimeoutError' || (cause as { readonly name?: unknown } | undefined)?.name === 'TimeoutError'
  return isTimeout ? new Error(`no answer within ${timeoutMs / 1000}s`) : err
}
