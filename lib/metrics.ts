// The Prometheus registry of one running instance and every metric in it. Names that distribution has are kept, so
// that its dashboards work; ours begin with entrepot_. Labels are few and bounded: never a path, a name or a digest.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

export type Metrics = ReturnType<typeof createMetrics>

/** 1 KiB to 2 GiB. */
const sizeBuckets = Array.from({ length: 22 }, (_, power) => 1024 * 2 ** power)

/** Makes a fresh set; two instances in one process do not meet. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const readings: (() => void)[] = []
  return {
    registry,
    /** Has `read` set gauges whenever metrics are asked for. */
    whenRead: (read: () => void) => void readings.push(read),
    /** The collectors of the process itself: once per process, by whoever owns it. */
    collectProcess: () => collectDefaultMetrics({ register: registry }),
    httpRequests: new Counter({
      name: 'registry_http_requests_total',
      help: 'Requests by endpoint, status and method',
      labelNames: ['handler', 'code', 'method'] as const,
      registers,
    }),
    httpDuration: new Histogram({
      name: 'registry_http_request_duration_seconds',
      help: 'Time from the request line to the end of the answer',
      labelNames: ['handler', 'method'] as const,
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60],
      registers,
    }),
    httpInFlight: new Gauge({
      name: 'registry_http_in_flight_requests',
      help: 'Requests being answered',
      labelNames: ['handler'] as const,
      registers,
    }),
    httpReceivedBytes: new Counter({
      name: 'entrepot_http_received_bytes_total',
      help: 'Bytes of request bodies',
      labelNames: ['handler'] as const,
      registers,
    }),
    httpSentBytes: new Counter({
      name: 'entrepot_http_sent_bytes_total',
      help: 'Bytes of response bodies',
      labelNames: ['handler'] as const,
      registers,
    }),
    httpRequestSize: new Histogram({
      name: 'registry_http_request_size_bytes',
      help: 'Bytes of the bodies of requests',
      labelNames: ['handler'] as const,
      buckets: sizeBuckets,
      registers,
    }),
    httpResponseSize: new Histogram({
      name: 'registry_http_response_size_bytes',
      help: 'Bytes of the bodies of responses',
      labelNames: ['handler'] as const,
      buckets: sizeBuckets,
      registers,
    }),
    healthFailing: new Gauge({
      name: 'entrepot_health_check_failing',
      help: 'Whether a health check fails: while one does, nothing is served',
      labelNames: ['check'] as const,
      registers,
    }),
    tokensIssued: new Counter({
      name: 'entrepot_tokens_issued_total',
      help: 'Access tokens given out by the token service, by what they were given for',
      labelNames: ['grant'] as const,
      registers,
    }),
    certificateExpiry: new Gauge({
      name: 'entrepot_tls_certificate_expiry_seconds',
      help: 'When the certificate that clients are shown ends, in seconds since the epoch; 0: without TLS',
      registers,
    }),
    storageAction: new Histogram({
      name: 'registry_storage_action_seconds',
      help: 'Time that the storage driver took',
      labelNames: ['driver', 'action'] as const,
      registers,
    }),
    cacheRequests: new Counter({
      name: 'registry_storage_cache_requests_total',
      help: 'Questions to the blob descriptor cache',
      registers,
    }),
    cacheHits: new Counter({
      name: 'registry_storage_cache_hits_total',
      help: 'Answers of the blob descriptor cache',
      registers,
    }),
    authFailures: new Counter({
      name: 'entrepot_auth_failures_total',
      help: 'Credentials that were refused: password, token, malformed, throttled, or denied what was asked for',
      labelNames: ['reason'] as const,
      registers,
    }),
    passwordComparisons: new Counter({
      name: 'entrepot_auth_password_comparisons_total',
      help: 'Passwords that were compared with a bcrypt hash, as they were not remembered',
      registers,
    }),
    readOnly: new Gauge({
      name: 'entrepot_readonly',
      help: 'Whether everything that writes is refused',
      registers,
    }),
    collectedBytes: new Counter({
      name: 'entrepot_collected_bytes_total',
      help: 'Bytes of blobs that nothing referred to, removed by garbage collection',
      registers,
    }),
    scrubCheckedBytes: new Counter({
      name: 'entrepot_scrub_checked_bytes_total',
      help: 'Bytes of stored content that were read again to see whether they are right',
      registers,
    }),
    scrubDamaged: new Counter({
      name: 'entrepot_scrub_damaged_total',
      help: 'Stored content that was found damaged',
      registers,
    }),
    uploadsPurged: new Counter({
      name: 'entrepot_uploads_purged_total',
      help: 'Upload sessions that nobody finished, removed',
      registers,
    }),
    proxyRequests: new Counter({
      name: 'registry_proxy_requests_total',
      help: 'Requests for mirrored content',
      labelNames: ['type'] as const,
      registers,
    }),
    proxyHits: new Counter({
      name: 'registry_proxy_hits_total',
      help: 'Requests for mirrored content that were answered from storage',
      labelNames: ['type'] as const,
      registers,
    }),
    proxyMisses: new Counter({
      name: 'registry_proxy_misses_total',
      help: 'Requests for mirrored content that needed an upstream',
      labelNames: ['type'] as const,
      registers,
    }),
    proxyServedBytes: new Counter({
      name: 'entrepot_proxy_served_bytes_total',
      help: 'Bytes of mirrored content sent to clients, by where the answer came from',
      labelNames: ['outcome'] as const,
      registers,
    }),
    proxyLookups: new Counter({
      name: 'entrepot_proxy_lookups_total',
      help: 'Requests for mirrored content by upstream and where the answer came from',
      labelNames: ['upstream', 'type', 'outcome'] as const,
      registers,
    }),
    cooldowns: new Counter({
      name: 'entrepot_cooldown_total',
      help: 'New digests of tags that a cooldown held back, or would have',
      labelNames: ['upstream', 'outcome'] as const,
      registers,
    }),
    cacheBytes: new Gauge({
      name: 'entrepot_cache_bytes',
      help: 'Bytes of mirrored content on disk',
      registers,
      collect: () => {
        for (const read of readings) read()
      },
    }),
    notificationEvents: new Counter({
      name: 'registry_notifications_events_total',
      help: 'Events for an endpoint, and what became of the tries to deliver them',
      labelNames: ['endpoint', 'type'] as const,
      registers,
    }),
    notificationsPending: new Gauge({
      name: 'registry_notifications_pending_total',
      help: 'Events that wait for an endpoint',
      labelNames: ['endpoint'] as const,
      registers,
    }),
    notificationStatus: new Counter({
      name: 'registry_notifications_status_total',
      help: 'Answers of an endpoint by status',
      labelNames: ['endpoint', 'code'] as const,
      registers,
    }),
    notificationsDropped: new Counter({
      name: 'entrepot_notifications_dropped_total',
      help: 'Events that were not delivered, as too many waited or they could not be kept',
      labelNames: ['endpoint'] as const,
      registers,
    }),
    cacheMaxBytes: new Gauge({
      name: 'entrepot_cache_max_bytes',
      help: 'Bytes of mirrored content that the disk may hold; 0: without limit',
      registers,
    }),
    cacheEvictedBytes: new Counter({
      name: 'entrepot_cache_evicted_bytes_total',
      help: 'Bytes of mirrored content that were removed to make room, or unused for too long',
      labelNames: ['content'] as const,
      registers,
    }),
    cacheEvictions: new Counter({
      name: 'entrepot_cache_evictions_total',
      help: 'Mirrored content that was removed to make room, or unused for too long',
      labelNames: ['content'] as const,
      registers,
    }),
    upstreamBudgetLimit: new Gauge({
      name: 'entrepot_upstream_budget_limit',
      help: 'Pulls that an upstream grants in its window, where it says so',
      labelNames: ['upstream'] as const,
      registers,
    }),
    upstreamBudgetRemaining: new Gauge({
      name: 'entrepot_upstream_budget_remaining',
      help: 'Pulls that are left of it',
      labelNames: ['upstream'] as const,
      registers,
    }),
    upstreamUp: new Gauge({
      name: 'entrepot_upstream_up',
      help: 'Whether a URL of an upstream is being asked: 0 while it is left alone because it fails',
      labelNames: ['upstream'] as const,
      registers,
    }),
    fillsInFlight: new Gauge({
      name: 'entrepot_fills_in_flight',
      help: 'Blobs being fetched from an upstream',
      registers,
    }),
    fills: new Counter({
      name: 'entrepot_fills_total',
      help: 'Ended fills by outcome',
      labelNames: ['outcome'] as const,
      registers,
    }),
    fillBytes: new Counter({
      name: 'entrepot_fill_bytes_total',
      help: 'Bytes of blobs received from upstreams',
      registers,
    }),
    fillResumes: new Counter({
      name: 'entrepot_fill_resumes_total',
      help: 'Broken upstream bodies that were resumed',
      registers,
    }),
    upstreamRequests: new Counter({
      name: 'entrepot_upstream_requests_total',
      help: 'Requests to upstreams; code is the status, or error where there was none',
      labelNames: ['upstream', 'operation', 'code'] as const,
      registers,
    }),
    upstreamRetries: new Counter({
      name: 'entrepot_upstream_retries_total',
      help: 'Requests put to an upstream once more, after a pause',
      labelNames: ['upstream'] as const,
      registers,
    }),
    upstreamQueued: new Gauge({
      name: 'entrepot_upstream_queued',
      help: 'Requests that wait until fewer are under way at their upstream',
      labelNames: ['upstream'] as const,
      registers,
    }),
  }
}
