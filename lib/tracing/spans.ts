// What the channels tell, as spans of OpenTelemetry. Which span is whose parent travels along with Node's own async
// context, in a store of ours, so that nothing global is changed.
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe, type TracingChannel } from 'node:diagnostics_channel'
import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type Tracer,
} from '@opentelemetry/api'
import {
  fills,
  requestClosed,
  requests,
  storageCalls,
  upstreamRequests,
  type FillFacts,
  type RequestFacts,
  type StorageFacts,
  type UpstreamFacts,
} from './channels.ts'
import { contextOf, headersOf } from './trace-context.ts'

interface Description {
  readonly name: string
  readonly kind?: SpanKind
  readonly attributes: Attributes
  /** Default: what goes on where it begins. */
  readonly parent?: Context
}

interface Rules<T> {
  readonly begin: (facts: T) => Description
  readonly begun?: (facts: T, span: Span) => void
  /** What is known only at the end. */
  readonly end?: (facts: T, span: Span) => void
  /** Where something else says that it is over. */
  readonly closed?: string
}

/** Makes spans of all that is told from now on; returns what ends that. */
export function makeSpans(tracer: Tracer): () => void {
  const contexts = new AsyncLocalStorage<Context>()
  const stops = [
    follow<RequestFacts>(requests, contexts, tracer, ofRequest),
    follow<StorageFacts>(storageCalls, contexts, tracer, ofStorage),
    follow<UpstreamFacts>(upstreamRequests, contexts, tracer, ofUpstream),
    follow<FillFacts>(fills, contexts, tracer, ofFill),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}

const ofRequest: Rules<RequestFacts> = {
  closed: String(requestClosed.name),
  begin: ({ method, handler, target, traceparent, tracestate }) => ({
    name: `${method} ${handler}`,
    kind: SpanKind.SERVER,
    attributes: { 'http.request.method': method, 'http.route': handler, 'url.path': target },
    parent: contextOf(traceparent, tracestate),
  }),
  end({ status = 0 }, span) {
    span.setAttribute('http.response.status_code', status)
    if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
  },
}

const ofStorage: Rules<StorageFacts> = {
  begin: ({ driver, action }) => ({
    name: `${driver} ${action}`,
    attributes: { 'storage.driver': driver, 'storage.action': action },
  }),
}

const ofUpstream: Rules<UpstreamFacts> = {
  begin: ({ upstream, operation, method, host }) => ({
    name: `${method} ${operation}`,
    kind: SpanKind.CLIENT,
    attributes: { 'http.request.method': method, 'server.address': host, 'registry.upstream': upstream },
  }),
  begun: ({ headers }, span) => void Object.assign(headers, headersOf(span.spanContext())),
  end({ status }, span) {
    if (status !== undefined) span.setAttribute('http.response.status_code', status)
    if (status !== undefined && status >= 400) span.setStatus({ code: SpanStatusCode.ERROR })
  },
}

const ofFill: Rules<FillFacts> = {
  begin: ({ upstream, digest }) => ({
    name: 'fill',
    attributes: { 'registry.upstream': upstream, 'registry.digest': digest },
  }),
  end({ outcome = 'unknown' }, span) {
    span.setAttribute('registry.fill.outcome', outcome)
    if (outcome === 'failed') span.setStatus({ code: SpanStatusCode.ERROR })
  },
}

function follow<T extends object>(
  channel: TracingChannel<unknown, T>,
  contexts: AsyncLocalStorage<Context>,
  tracer: Tracer,
  { begin, begun, end, closed }: Rules<T>,
): () => void {
  const spans = new WeakMap<object, Span>()

  function enter(facts: T): Context {
    const { name, kind = SpanKind.INTERNAL, attributes, parent } = begin(facts)
    const outer = parent ?? contexts.getStore() ?? ROOT_CONTEXT
    const span = tracer.startSpan(name, { kind, attributes }, outer)
    spans.set(facts, span)
    begun?.(facts, span)
    return trace.setSpan(outer, span)
  }

  function failed(message: unknown): void {
    const { error } = message as { readonly error?: unknown }
    const span = spans.get(message as object)
    const problem = error instanceof Error ? error.message : String(error)
    span?.setStatus({ code: SpanStatusCode.ERROR, message: problem })
  }

  function leave(message: unknown): void {
    const span = spans.get(message as object)
    if (span === undefined) return
    spans.delete(message as object)
    end?.(message as T, span)
    span.end()
  }

  const failure = channel.error.name
  const over = closed ?? channel.asyncEnd.name
  channel.start.bindStore(contexts, enter)
  subscribe(failure, failed)
  subscribe(over, leave)
  return () => {
    channel.start.unbindStore(contexts)
    unsubscribe(failure, failed)
    unsubscribe(over, leave)
  }
}
