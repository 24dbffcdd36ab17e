// Where the parts of the registry tell what they are doing, for whoever traces it (spans.ts). While nobody listens it
// costs a look at a flag.
import { channel, tracingChannel } from 'node:diagnostics_channel'

export interface RequestFacts {
  readonly method: string
  /** The endpoint's name. */
  readonly handler: string
  /** Censored. */
  readonly target: string
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
  /** Known when the request is over. */
  status?: number
}

export interface StorageFacts {
  readonly driver: string
  readonly action: string
}

export interface UpstreamFacts {
  readonly upstream: string
  readonly operation: string
  readonly method: string
  readonly host: string
  /** To be sent along; a listener adds to them before the request is made. */
  readonly headers: Record<string, string>
  /** Known when the answer has begun. */
  status?: number
}

export interface FillFacts {
  readonly upstream: string
  readonly digest: string
  outcome?: string
}

/** Around the handling of a request; it is over, its answer sent, when `requestClosed` says so. */
export const requests = tracingChannel<unknown, RequestFacts>('registry:http')
export const requestClosed = channel('registry:http:closed')
/** Around each call of a storage driver. */
export const storageCalls = tracingChannel<unknown, StorageFacts>('registry:storage')
/** Around each request to an upstream until its answer begins; redirects are requests of their own. */
export const upstreamRequests = tracingChannel<unknown, UpstreamFacts>('registry:upstream')
/** Around each fill. */
export const fills = tracingChannel<unknown, FillFacts>('registry:fill')
