import t, { type Test } from 'tap'
import { systemClock } from '../../lib/clock.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { matchesAny } from '../../lib/name-pattern.ts'
import { dockerHubHosts } from '../../lib/oci/docker-hub.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { defaultFreshness } from '../../lib/proxy/freshness.ts'
import { componentOf, createRouteTable, type MirroredRegistry } from '../../lib/proxy/route-table.ts'
import { createUpstream } from '../../lib/upstream/client.ts'
import { silentLogger } from '../support/upstream-client.ts'

function registry(t: Test, name: string, more: Partial<MirroredRegistry> = {}): MirroredRegistry {
  const upstream = createUpstream({
    name,
    url: new URL('http://127.0.0.1:1'),
    clock: systemClock,
    logger: silentLogger(),
    metrics: createMetrics(),
    version: 'test',
  })
  t.teardown(() => upstream.close())
  return {
    name,
    upstream,
    isDefault: false,
    isDockerHub: false,
    hosts: [name],
    virtualHosts: [],
    prefixes: [],
    allows: () => true,
    freshness: defaultFreshness(60_000),
    ...more,
  }
}

const hub = (t: Test, more: Partial<MirroredRegistry> = {}) =>
  registry(t, 'docker.io', { isDefault: true, isDockerHub: true, hosts: dockerHubHosts, ...more })

/** `stored name < name at the upstream @ upstream` of a request; what is missing is left out. */
function leadsTo(
  table: ReturnType<typeof createRouteTable>,
  name: string,
  asked: { readonly ns?: string; readonly host?: string } = {},
): string {
  const here = table.address(parseRepositoryName(name), {
    namespace: asked.ns,
    host: asked.host ?? 'me:5000',
  })
  if (here === undefined) return 'unknown'
  const route = table.route(here)
  return route === undefined ? `${here} alone` : `${route.stored} < ${route.name} @ ${route.upstream.name}`
}

t.test('RouteTable leads every way of asking for a repository to one place', async t => {
  const table = createRouteTable({
    registries: [
      hub(t, { prefixes: ['hub'] }),
      registry(t, 'ghcr.io', { virtualHosts: ['ghcr.example'], prefixes: ['gh'] }),
      registry(t, 'internal', { hosts: ['registry.internal:5000'], virtualHosts: ['int.example:8443'] }),
    ],
    reserved: () => false,
  })
  const nginx = 'library/nginx < library/nginx @ docker.io'
  const app = 'ghcr.io/owner/app < owner/app @ ghcr.io'
  const tool = 'internal/tool < tool @ internal'
  const cases: readonly (readonly [name: string, asked: { ns?: string; host?: string }, expected: string])[] =
    [
      ['nginx', {}, nginx],
      ['library/nginx', {}, nginx],
      ['library/nginx', { ns: 'docker.io' }, nginx],
      ['nginx', { ns: 'docker.io' }, nginx],
      ['library/nginx', { ns: 'registry-1.docker.io' }, nginx],
      ['library/nginx', { ns: 'DOCKER.IO' }, nginx],
      ['docker.io/library/nginx', {}, nginx],
      ['docker.io/nginx', {}, nginx],
      ['index.docker.io/library/nginx', {}, nginx],
      ['hub/nginx', {}, nginx],
      ['docker.io/library/nginx', { ns: 'docker.io' }, nginx],
      ['library/nginx', { ns: 'me:5000' }, nginx],
      ['owner/app', { ns: 'ghcr.io' }, app],
      ['ghcr.io/owner/app', {}, app],
      ['GHCR.IO/owner/app', {}, app],
      ['ghcr.io/owner/app', { ns: 'ghcr.io' }, app],
      ['gh/owner/app', {}, app],
      ['owner/app', { host: 'ghcr.example' }, app],
      ['owner/app', { host: 'GHCR.example:5000' }, app],
      ['ghcr.io/owner/app', { host: 'ghcr.example' }, app],
      ['tool', { ns: 'registry.internal:5000' }, tool],
      ['internal/tool', {}, tool],
      ['tool', { host: 'int.example:8443' }, tool],
      ['tool', { host: 'int.example' }, 'library/tool < library/tool @ docker.io'],
      ['library/nginx', { ns: 'quay.io' }, 'unknown'],
      ['library/nginx', { ns: '127.0.0.1' }, 'unknown'],
      ['quay.io/a/b', {}, 'quay.io/a/b < quay.io/a/b @ docker.io'],
      ['ghcr.io/owner/app', { ns: 'docker.io' }, 'unknown'],
      ['a'.repeat(250), { ns: 'ghcr.io' }, 'unknown'],
    ]
  for (const [name, asked, expected] of cases) {
    t.equal(leadsTo(table, name, asked), expected, `${name.slice(0, 40)} ${JSON.stringify(asked)}`)
  }
})

t.test('RouteTable without a default upstream mirrors what names one', async t => {
  const table = createRouteTable({ registries: [registry(t, 'ghcr.io')], reserved: () => false })

  t.equal(leadsTo(table, 'team/app'), 'team/app alone')
  t.equal(leadsTo(table, 'ghcr.io/team/app'), 'ghcr.io/team/app < team/app @ ghcr.io')
  t.equal(leadsTo(table, 'library/nginx', { ns: 'docker.io' }), 'unknown')
})

t.test('RouteTable asks no upstream for what is reserved, or not allowed there', async t => {
  const table = createRouteTable({
    registries: [
      hub(t, { allows: matchesAny(['library/*', 'team/*']) }),
      registry(t, 'ghcr.io', { allows: name => !matchesAny(['*/bad'])(name) }),
    ],
    reserved: matchesAny(['team/*', 'library/own', 'ghcr.io/mine/*']),
  })

  t.equal(leadsTo(table, 'team/app'), 'team/app alone')
  t.equal(leadsTo(table, 'team/app', { ns: 'docker.io' }), 'team/app alone')
  t.equal(leadsTo(table, 'own'), 'own alone')
  t.equal(leadsTo(table, 'docker.io/own'), 'library/own alone')
  t.equal(leadsTo(table, 'other/app'), 'other/app alone')
  t.equal(leadsTo(table, 'nginx'), 'library/nginx < library/nginx @ docker.io')
  t.equal(leadsTo(table, 'owner/bad', { ns: 'ghcr.io' }), 'ghcr.io/owner/bad alone')
  t.equal(leadsTo(table, 'mine/app', { ns: 'ghcr.io' }), 'ghcr.io/mine/app alone')
  t.equal(leadsTo(table, 'owner/good', { ns: 'ghcr.io' }), 'ghcr.io/owner/good < owner/good @ ghcr.io')
})

t.test('RouteTable that is open mirrors any public registry, and no address', async t => {
  const made: string[] = []
  const open = (host: string) => {
    made.push(host)
    return registry(t, componentOf(host), { hosts: [host] })
  }
  const table = createRouteTable({ registries: [hub(t)], reserved: () => false, open })

  t.equal(leadsTo(table, 'a/b', { ns: 'quay.io' }), 'quay.io/a/b < a/b @ quay.io')
  t.equal(leadsTo(table, 'quay.io/a/b'), 'quay.io/a/b < a/b @ quay.io')
  t.equal(leadsTo(table, 'a/b', { ns: 'reg.example:5000' }), 'reg.example_5000/a/b < a/b @ reg.example_5000')
  t.equal(leadsTo(table, 'reg.example_5000/a/b'), 'reg.example_5000/a/b < a/b @ reg.example_5000')
  t.equal(leadsTo(table, 'nginx'), 'library/nginx < library/nginx @ docker.io')
  t.same(new Set(made), new Set(['quay.io', 'reg.example:5000']))
  for (const ns of [
    '127.0.0.1',
    '127.0.0.1:5000',
    '[::1]:5000',
    'localhost',
    '169.254.169.254',
    '10.1',
    '0x7f.1',
  ]) {
    t.equal(leadsTo(table, 'a/b', { ns }), 'unknown', ns)
  }
  for (const ns of [
    'a..b',
    'a b.c',
    'x.y/z',
    'x.y?z',
    'u@x.y',
    '-x.y',
    `${'a'.repeat(64)}.io`,
    'x.y:123456',
    'registry.example:99999',
    'xn--a.example',
    'qu\u212Aay.io',
  ]) {
    t.equal(leadsTo(table, 'a/b', { ns }), 'unknown', ns)
  }
})

t.test('RouteTable that is open holds a host to its configuration however its port is written', async t => {
  const ghcr = registry(t, 'ghcr.io', { allows: name => name !== 'owner/bad' })
  const hosts: string[] = []
  const table = createRouteTable({
    registries: [hub(t), ghcr],
    reserved: () => false,
    open: host => {
      hosts.push(host)
      return registry(t, componentOf(host), { hosts: [host] })
    },
  })

  for (const ns of ['ghcr.io:443', 'GHCR.io:0443']) {
    t.equal(leadsTo(table, 'owner/bad', { ns }), 'ghcr.io/owner/bad alone', ns)
  }
  t.equal(leadsTo(table, 'ghcr.io_443/owner/bad'), 'ghcr.io/owner/bad alone')
  t.equal(leadsTo(table, 'docker.io_443/nginx'), 'library/nginx < library/nginx @ docker.io')
  t.same(hosts, [], 'nobody is let in beside it')
})

t.test('RouteTable takes no letter beyond ASCII for one of a host', async t => {
  const table = createRouteTable({ registries: [hub(t)], reserved: () => false })

  t.equal(leadsTo(table, 'nginx', { ns: 'doc\u212Aer.io' }), 'unknown')
  t.equal(leadsTo(table, 'nginx', { ns: 'Docker.IO' }), 'library/nginx < library/nginx @ docker.io')
})
