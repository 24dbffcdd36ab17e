// Whether traces are wanted, and where they are to go, as the OpenTelemetry specification names it in the environment
// ("SDK environment variables"). With none of it set there are no traces.

type Environment = Readonly<Record<string, string | undefined>>

export interface TracingSettings {
  readonly exporters: readonly ('otlp' | 'console')[]
  /** Where OTLP goes to. */
  readonly url: string
  /** How long one attempt to hand over may take, its retries included; short enough for the end of the process. */
  readonly timeoutMs: number
  readonly serviceName: string
  /** Further attributes of this process. */
  readonly attributes: Readonly<Record<string, string>>
  /** What was asked for and is not done, one line each. */
  readonly warnings: readonly string[]
}

const defaultTimeoutMs = 4000
const defaultEndpoint = 'http://localhost:4318'

/** undefined: no traces are wanted. */
export function readTracingSettings(env: Environment): TracingSettings | undefined {
  const value = (name: string) => env[name]?.trim() || undefined
  if (value('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return undefined
  const whole = value('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  const base = value('OTEL_EXPORTER_OTLP_ENDPOINT')
  const wanted =
    value('OTEL_TRACES_EXPORTER') ?? (whole === undefined && base === undefined ? 'none' : 'otlp')
  const names = wanted.split(',').map(name => name.trim())
  const exporters = (['otlp', 'console'] as const).filter(name => names.includes(name))
  const unknown = names.filter(name => !['otlp', 'console', 'none'].includes(name))
  const protocol = value('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? value('OTEL_EXPORTER_OTLP_PROTOCOL')
  const timeout = value('OTEL_EXPORTER_OTLP_TRACES_TIMEOUT') ?? value('OTEL_EXPORTER_OTLP_TIMEOUT')
  const url = whole ?? `${(base ?? defaultEndpoint).replace(/\/+$/, '')}/v1/traces`
  const warnings = unknown.map(
    name => `OTEL_TRACES_EXPORTER: found "${name}", expected otlp, console or none`,
  )
  if (exporters.includes('otlp') && protocol !== undefined && protocol !== 'http/protobuf') {
    warnings.push(`OTEL_EXPORTER_OTLP_PROTOCOL: found "${protocol}", traces are sent by http/protobuf`)
  }
  if (exporters.includes('otlp') && !URL.canParse(url)) {
    warnings.push('OTEL_EXPORTER_OTLP_ENDPOINT: expected a URL, no traces are sent')
    exporters.splice(exporters.indexOf('otlp'), 1)
  }
  if (exporters.length === 0 && warnings.length === 0) return undefined
  return {
    exporters,
    url,
    timeoutMs: Number(timeout) > 0 ? Number(timeout) : defaultTimeoutMs,
    serviceName: value('OTEL_SERVICE_NAME') ?? 'entrepot',
    attributes: pairs(value('OTEL_RESOURCE_ATTRIBUTES') ?? ''),
    warnings,
  }
}

/** `a=1,b=2`, percent-encoded where need be. */
function pairs(text: string): Readonly<Record<string, string>> {
  const entries = text.split(',').flatMap(pair => {
    const at = pair.indexOf('=')
    return at < 1 ? [] : [[pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())] as const]
  })
  return Object.fromEntries(entries)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
