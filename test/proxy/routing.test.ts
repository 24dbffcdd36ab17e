import t, { type Test } from 'tap'
import { systemClock } from '../../lib/clock.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { createUpstream } from '../../lib/upstream/client.ts'
import { routeAllTo } from '../support/route-all-to.ts'

function upstream(t: Test) {
  const client = createUpstream({
    url: new URL('http://127.0.0.1:1'),
    clock: systemClock,
    logger: createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} }),
    metrics: createMetrics(),
    version: 'test',
  })
  t.teardown(() => client.close())
  return client
}

for (const [host, name, expected] of [
  ['docker.io', 'nginx', 'library/nginx'],
  ['index.docker.io', 'nginx', 'library/nginx'],
  ['registry-1.docker.io', 'nginx', 'library/nginx'],
  ['registry.hub.docker.com', 'nginx', 'library/nginx'],
  ['registry-1.docker.io', 'library/nginx', 'library/nginx'],
  ['registry-1.docker.io', 'grafana/grafana', 'grafana/grafana'],
  ['registry-1.docker.io', 'a'.repeat(247), `library/${'a'.repeat(247)}`],
  ['registry-1.docker.io', 'a'.repeat(248), 'a'.repeat(248)],
  ['quay.io', 'nginx', 'nginx'],
  ['docker.io.example.com', 'nginx', 'nginx'],
  ['mydocker.io', 'nginx', 'nginx'],
] as const) {
  void t.test(`routeAllTo() at ${host} knows ${name.slice(0, 40)} as ${expected.slice(0, 40)}`, async t => {
    const client = upstream(t)

    const route = routeAllTo(client, host)(parseRepositoryName(name))

    t.equal(route?.name, expected)
    t.equal(route?.upstream, client)
  })
}
