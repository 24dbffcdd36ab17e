// Traces, where the environment asks for them: the SDK is loaded then and not before. What it cannot hand over it
// drops; its queue is bounded.
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { readTracingSettings } from './settings.ts'

export interface TracingDeps {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version: string
  /** Tells this process from others. */
  readonly instanceId: string
  readonly clock: Clock
  readonly logger: Logger
}

export interface Tracing {
  /** Hands over what there is, for at most so long. Never rejects. */
  close(graceMs: number): Promise<void>
}

export async function startTracing(deps: TracingDeps): Promise<Tracing | undefined> {
  const { clock, env, logger } = deps
  const settings = readTracingSettings(env)
  for (const warning of settings?.warnings ?? []) logger.warn(warning)
  if (settings === undefined || settings.exporters.length === 0) return undefined
  const { createProvider } = await import('./provider.ts')
  const { makeSpans } = await import('./spans.ts')
  const provider = createProvider(settings, deps)
  const stop = makeSpans(provider.getTracer('entrepot', deps.version))
  const to = settings.exporters.map(name => (name === 'otlp' ? 'OTLP' : 'stdout')).join(' and ')
  logger.info(`sending traces to ${to}`)
  return {
    async close(graceMs) {
      stop()
      const over = new AbortController()
      const tooLong = clock.sleep(graceMs, { signal: over.signal }).catch(() => {})
      await Promise.race([provider.shutdown().catch(() => {}), tooLong])
      over.abort()
    },
  }
}
