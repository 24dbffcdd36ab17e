// What the fault-injecting upstream was asked and what it sent: the proof of what a mirror spares its upstream.
import type { RequestKind, SeenRequest } from './requests.ts'

export interface FaultStats {
  /** Connections accepted, on all listeners. */
  readonly connections: number
  readonly requests: number
  /** Requests whose connection or answer has not ended. */
  readonly open: number
  readonly byKind: Readonly<Record<string, number>>
  readonly byMethod: Readonly<Record<string, number>>
  /** `GET blob` and the like. */
  readonly byMethodAndKind: Readonly<Record<string, number>>
  /** `GET /v2/…`, without queries; what comes after 10,000 different ones is counted as `more`. */
  readonly byPath: Readonly<Record<string, number>>
  /** Answers whose headers went out, by status. */
  readonly byStatus: Readonly<Record<string, number>>
  /** Bytes of bodies handed to sockets, by kind of request. */
  readonly bytes: Readonly<Record<string, number>>
  /** Requests that brought Authorization to the host that blobs are redirected to. */
  readonly authorizationAtCdn: number
}

const maxPaths = 10_000

/** Counts from its making, or its last reset. `open` is a state and outlives a reset. */
export class StatsRecorder {
  #counts = new Counts()
  #open = 0

  connected(): void {
    this.#counts.connections++
  }

  begun({ kind, method, path }: SeenRequest): void {
    const counts = this.#counts
    this.#open++
    counts.requests++
    add(counts.byKind, kind)
    add(counts.byMethod, method)
    add(counts.byMethodAndKind, `${method} ${kind}`)
    const line = `${method} ${path}`
    add(counts.byPath, counts.byPath.has(line) || counts.byPath.size < maxPaths ? line : 'more')
  }

  ended(): void {
    this.#open--
  }

  answered(status: number): void {
    add(this.#counts.byStatus, String(status))
  }

  sent(kind: RequestKind, bytes: number): void {
    add(this.#counts.bytes, kind, bytes)
  }

  broughtAuthorizationToCdn(): void {
    this.#counts.authorizationAtCdn++
  }

  read(): FaultStats {
    const { connections, requests, authorizationAtCdn, ...maps } = this.#counts
    return {
      connections,
      requests,
      open: this.#open,
      byKind: Object.fromEntries(maps.byKind),
      byMethod: Object.fromEntries(maps.byMethod),
      byMethodAndKind: Object.fromEntries(maps.byMethodAndKind),
      byPath: Object.fromEntries(maps.byPath),
      byStatus: Object.fromEntries(maps.byStatus),
      bytes: { blob: 0, manifest: 0, ...Object.fromEntries(maps.bytes) },
      authorizationAtCdn,
    }
  }

  reset(): void {
    this.#counts = new Counts()
  }
}

class Counts {
  connections = 0
  requests = 0
  authorizationAtCdn = 0
  readonly byKind = new Map<string, number>()
  readonly byMethod = new Map<string, number>()
  readonly byMethodAndKind = new Map<string, number>()
  readonly byPath = new Map<string, number>()
  readonly byStatus = new Map<string, number>()
  readonly bytes = new Map<string, number>()
}

function add(counts: Map<string, number>, key: string, amount = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + amount)
}
