// The OpenTelemetry SDK, set up. It reads the finer settings from the environment itself: sampler, limits, and the
// headers, certificates and timeouts of OTLP.
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ConsoleSpanExporter,
  NodeTracerProvider,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-node'
import { describeError, type Logger } from '../log.ts'
import type { TracingSettings } from './settings.ts'

export interface ProviderDeps {
  readonly version: string
  readonly instanceId: string
  readonly logger: Logger
}

export function createProvider(
  { attributes, exporters, serviceName, timeoutMs, url }: TracingSettings,
  { instanceId, logger, version }: ProviderDeps,
): NodeTracerProvider {
  const resource = resourceFromAttributes({
    'service.version': version,
    'service.instance.id': instanceId,
    ...attributes,
    'service.name': serviceName,
  })
  return new NodeTracerProvider({
    resource,
    spanProcessors: exporters.map(name =>
      name === 'otlp'
        ? new BatchSpanProcessor(telling(new OTLPTraceExporter({ url, timeoutMillis: timeoutMs }), logger))
        : new BatchSpanProcessor(new ConsoleSpanExporter()),
    ),
  })
}

/** Logs the first failure of each row of failures: the SDK itself keeps silent. */
function telling(inner: SpanExporter, logger: Logger): SpanExporter {
  let isFailing = false
  return {
    export(spans, report) {
      inner.export(spans, result => {
        const { error } = result
        if (error !== undefined && !isFailing)
          logger.warn({ problem: describeError(error) }, 'cannot send traces')
        isFailing = error !== undefined
        report(result)
      })
    },
    shutdown: () => inner.shutdown(),
    forceFlush: async () => inner.forceFlush?.(),
  }
}
