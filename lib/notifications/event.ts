// What has happened in the registry, and the envelope that it is sent in: distribution's, member by member, so that
// what receives its webhooks understands ours.
import { randomBytes } from 'node:crypto'
import type { ManifestEntry } from '../oci/descriptor.ts'

/** The last three are of a mirror, and ours. */
export type EventAction = 'push' | 'pull' | 'mount' | 'delete' | 'fill' | 'evict' | 'stale'

export interface RegistryEvent {
  readonly action: EventAction
  readonly target: EventTarget
  /** Absent where no request is the cause. */
  readonly request?: EventRequest | undefined
  /** Who asked; absent where nobody was asked who they are. */
  readonly actor?: string | undefined
}

export interface EventTarget {
  readonly mediaType?: string | undefined
  readonly digest?: string | undefined
  readonly size?: number | undefined
  readonly repository?: string | undefined
  readonly fromRepository?: string | undefined
  readonly url?: string | undefined
  readonly tag?: string | undefined
  /** What a manifest refers to. */
  readonly references?: readonly ManifestEntry[] | undefined
}

export interface EventRequest {
  readonly id: string
  readonly addr: string
  readonly host: string
  readonly method: string
  readonly useragent: string
}

/** Takes what has happened: never throws, never waits. */
export interface EventSink {
  publish(event: RegistryEvent): void
}

/** Who sends: `addr` is `host:port`, `instanceId` is of this run of the program. */
export interface EventSource {
  readonly addr: string
  readonly instanceId: string
}

export const eventMediaType = 'application/vnd.docker.distribution.events.v2+json'

/** The body of one notification. Empty members are left out where distribution leaves them out, and only there. */
export function formatEnvelope(event: RegistryEvent, source: EventSource, atMs: number): string {
  const { action, target, request, actor } = event
  const { size = 0 } = target
  const references = target.references ?? []
  const body = {
    id: createEventId(atMs),
    timestamp: new Date(atMs).toISOString(),
    action,
    target: {
      mediaType: target.mediaType ?? '',
      digest: target.digest ?? '',
      size,
      ...(size > 0 && { length: size }),
      ...given('repository', target.repository),
      ...given('fromRepository', target.fromRepository),
      ...given('url', target.url),
      ...given('tag', target.tag),
      ...(references.length > 0 && { references }),
    },
    request: request === undefined ? {} : formatRequest(request),
    actor: given('name', actor),
    source: { addr: source.addr, instanceID: source.instanceId },
  }
  return JSON.stringify({ events: [body] }, null, 3)
}

function formatRequest({ id, addr, host, method, useragent }: EventRequest) {
  return { id, ...given('addr', addr), ...given('host', host), method, useragent }
}

function given(name: string, value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined || value === '' ? {} : { [name]: value }
}

/** A UUID of version 7, whose beginning is its time. Source: RFC 9562, 5.7. */
export function createEventId(atMs: number): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Math.max(0, Math.trunc(atMs)), 0, 6)
  bytes[6] = (bytes.readUInt8(6) & 0x0f) | 0x70
  bytes[8] = (bytes.readUInt8(8) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
