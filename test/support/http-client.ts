// The HTTP application over a real local registry, listening on loopback, and the clients that tests talk to it with:
// fetch for what a well-behaved client does, a raw socket for everything else.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { AccessController } from '../../lib/auth/access-controller.ts'
import { allowEverything } from '../../lib/auth/none.ts'
import { systemClock } from '../../lib/clock.ts'
import { createApp, type AppSettings } from '../../lib/http/app.ts'
import type { AccessLog } from '../../lib/http/middleware/access-log.ts'
import { createLogger, type LogLevel } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { mediaTypes } from '../../lib/oci/media-types.ts'
import { createLocalRegistry, type LocalRegistryOptions } from '../../lib/registry/local.ts'
import type { Registry } from '../../lib/registry/registry.ts'
import type { StorageDriver } from '../../lib/storage/driver/driver.ts'
import { createStores, openTestDriver, type DriverKind } from './stores.ts'

export interface AppOptions {
  readonly driver?: DriverKind | StorageDriver
  readonly allowDelete?: boolean
  /** Rules for what is pushed; by default there are none. */
  readonly rules?: Pick<LocalRegistryOptions, 'manifestRules' | 'tagPolicy'>
  readonly access?: AccessController
  readonly settings?: Partial<AppSettings>
  readonly level?: LogLevel
  readonly accessLog?: AccessLog
  readonly isFailing?: () => boolean
  /** Puts something between the application and the local registry. */
  readonly wrap?: (local: Registry) => Registry
}

export type LogLine = Readonly<Record<string, unknown>>

const defaults: AppSettings = {
  host: undefined,
  prefix: '',
  relativeUrls: false,
  headers: {},
  secret: 'a secret for tests',
  readOnly: false,
  maxTags: 1000,
  maxCatalogEntries: 1000,
}

/** Starts an application that ends with the test. */
export async function startApp(t: Test, options: AppOptions = {}) {
  const { driver: wanted = 'inmemory' } = options
  const driver = typeof wanted === 'string' ? await openTestDriver(t, wanted) : wanted
  const stores = createStores(driver)
  const local = createLocalRegistry(stores, { allowDelete: options.allowDelete ?? true, ...options.rules })
  const metrics = createMetrics()
  const logLines: LogLine[] = []
  const app = createApp({
    registry: options.wrap?.(local) ?? local,
    access: options.access ?? allowEverything,
    logger: createLogger({
      level: options.level ?? 'info',
      formatter: 'json',
      fields: {},
      write: line => logLines.push(JSON.parse(line) as LogLine),
    }),
    metrics,
    clock: systemClock,
    accessLog: options.accessLog,
    isFailing: options.isFailing,
    settings: { ...defaults, ...options.settings },
  })
  const handle = app.callback()
  const server = http.createServer((req, res) => void handle(req, res))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, server, driver, stores, local, metrics, logLines }
}

export type TestApp = Awaited<ReturnType<typeof startApp>>

export interface ErrorBody {
  readonly errors: readonly { readonly code: string; readonly message: string; readonly detail?: unknown }[]
}

/** The codes of an error answer, which must have the protocol's form. */
export async function codesOf(res: Response): Promise<string[]> {
  const { errors } = (await res.json()) as ErrorBody
  return errors.map(({ code }) => code)
}

export async function detailOf(res: Response): Promise<unknown> {
  const { errors } = (await res.json()) as ErrorBody
  return errors[0]?.detail
}

export function sha256(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

/** Pushes a blob in one request and returns its digest. */
export async function pushBlob(url: string, name: string, content: string | Uint8Array): Promise<string> {
  const digest = sha256(content)
  const res = await fetch(`${url}/v2/${name}/blobs/uploads/?digest=${digest}`, {
    method: 'POST',
    body: Buffer.from(content),
  })
  if (res.status !== 201) throw new Error(`push of a blob was answered ${res.status}: ${await res.text()}`)
  return digest
}

export function manifestOf(
  config: string,
  configSize: number,
  ...layers: readonly (readonly [string, number])[]
) {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config, size: configSize },
    layers: layers.map(([digest, size]) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest,
      size,
    })),
  })
}

export function putManifest(url: string, name: string, reference: string, body: string): Promise<Response> {
  return fetch(`${url}/v2/${name}/manifests/${reference}`, {
    method: 'PUT',
    body,
    headers: { 'Content-Type': mediaTypes.ociManifest },
  })
}

/** Pushes an image of one config and nothing else; returns the manifest's text and digest. */
export async function pushImage(url: string, name: string, tag: string) {
  const config = `{"tag":"${tag}"}`
  const manifest = manifestOf(await pushBlob(url, name, config), config.length)
  const res = await putManifest(url, name, tag, manifest)
  if (res.status !== 201)
    throw new Error(`push of a manifest was answered ${res.status}: ${await res.text()}`)
  await res.arrayBuffer()
  return { manifest, digest: sha256(manifest) }
}

/** Starts an upload session and returns the Location to go on at. */
export async function startUpload(url: string, name: string): Promise<string> {
  const res = await fetch(`${url}/v2/${name}/blobs/uploads/`, { method: 'POST' })
  return locationOf(res)
}

export function locationOf(res: Response): string {
  const location = res.headers.get('location')
  if (location === null) throw new Error(`an answer ${res.status} has no Location`)
  return location
}

/** A connection on which a test writes its bytes itself. It is destroyed with the test. */
export async function openSocket(t: Test, port: number) {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  socket.setEncoding('latin1')
  let received = ''
  const readers = new Set<() => void>()
  let closed = false
  let failure: Error | undefined
  const changed = () => readers.forEach(reader => reader())
  socket.on('data', (chunk: string) => {
    received += chunk
    changed()
  })
  socket.on('error', (err: Error) => (failure = err))
  socket.on('close', () => {
    closed = true
    changed()
  })
  /** Resolves with all received when `found` says so, or the connection has closed. */
  async function until(found: (text: string) => boolean): Promise<string> {
    while (!found(received) && !closed) {
      await new Promise<void>(resolve => {
        const reader = () => {
          readers.delete(reader)
          resolve()
        }
        readers.add(reader)
      })
    }
    return received
  }
  return {
    socket: socket,
    write: (text: string) => void socket.write(text, 'latin1'),
    until,
    ended: async () => {
      const text = await until(() => false)
      return { text, failure }
    },
  }
}
