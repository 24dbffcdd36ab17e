import t, { type Test } from 'tap'
import { main } from '../../lib/cli/main.ts'
import type { Explanation } from '../../lib/http/admin/cache-admin.ts'
import { createMemoryCache, digestFor, startAdminApp } from '../support/cache-admin.ts'
import { RecordedIo } from '../support/recorded-io.ts'

async function explain(t: Test, over: Partial<Explanation>, ...argv: readonly string[]) {
  const { cache } = createMemoryCache()
  const { url } = await startAdminApp(t, {
    ...cache,
    explain: async image => ({ ...(await cache.explain(image)), ...over }),
  })
  const io = new RecordedIo()
  const exitCode = await main(['explain', ...argv, '--server', url], io)
  return { exitCode, ...io.written }
}

t.test('registry explain rejects what is no image', async t => {
  t.match(await explain(t, {}, 'https://nginx'), {
    exitCode: 1,
    stderr: 'registry: Cannot parse image "https://nginx": a reference has no scheme\n',
  })
})

t.test('registry explain shows route, verdict, copy, upstream and history', async t => {
  const { exitCode, stdout } = await explain(t, {}, 'docker.io/library/nginx')

  t.equal(exitCode, 0)
  t.same(stdout.split('\n'), [
    'image                 docker.io/library/nginx:latest',
    'upstream              docker.io, by the host in the name',
    'known there as        library/nginx',
    'stored as             library/nginx',
    'verdict               expired: the upstream is asked first; what is here covers its trouble',
    'stale because         upstream docker.io limited',
    `digest                ${digestFor('now')}`,
    `held back             ${digestFor('newest')} is too young`,
    'cached                70 MB, used 2h ago, pinned',
    'confirmed             1m ago',
    'expires               it has',
    'registry-1.docker.io  circuit open, next try in 9m (no answer), answered -',
    '                      rate limit: 76 of 100 left, per 6h',
    'mirror.example        circuit closed, answered 5m ago',
    'last failure          limited, 10m ago: answered 429',
    `history               ${digestFor('newest')} seen first 1h ago, last 30m ago`,
    '',
  ])
})

t.test('registry explain shows why nobody is asked', async t => {
  const nothing = {
    digest: undefined,
    newestDigest: undefined,
    sizeBytes: undefined,
    isPinned: false,
    history: [],
  }
  const refused = await explain(
    t,
    {
      ...nothing,
      verdict: 'refused',
      isReserved: true,
      isAllowed: false,
      chosenBy: 'none',
      upstream: undefined,
    },
    'nginx',
  )
  const fresh = await explain(t, { verdict: 'fresh', ttlLeftMs: undefined }, 'nginx')
  const stretched = await explain(t, { ttlLeftMs: 90_000, stretch: 3 }, 'nginx')

  t.match(refused.stdout, /^upstream +none: no upstream is configured for it\n/m)
  t.match(refused.stdout, /^because +the name is reserved.*\nbecause +the upstream does not allow/m)
  t.match(refused.stdout, /^digest +not known\ncached +no$/m)
  t.match(fresh.stdout, /^expires +never$/m)
  t.match(stretched.stdout, /^expires +in 1m \(times are stretched by 3\.0: the rate limit runs out\)$/m)
})

t.test('registry explain --json prints what the server says', async t => {
  const { stdout } = await explain(t, {}, 'nginx', '--json')

  t.match(JSON.parse(stdout), { image: 'nginx:latest', verdict: 'expired' })
})
