import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import t, { type Test } from 'tap'
import { main } from '../../lib/cli/main.ts'
import { locationOf, pushBlob, pushImage, sha256, startUpload } from '../support/http-client.ts'
import { startMirrorServer } from '../support/server-with.ts'
import { RecordedIo } from '../support/recorded-io.ts'
import { until } from '../support/until.ts'

async function setUp(t: Test) {
  const { root, url, debugUrl, metric } = await startMirrorServer(t, '')
  const { digest } = await pushImage(url, 'team/app', 'v1')
  const unused = await pushBlob(url, 'team/app', 'unused')
  const config = path.join(root, 'config.yml')
  await writeFile(config, `{version: 0.1, storage: {filesystem: {rootdirectory: "${root}"}}}`)
  async function run(...argv: string[]) {
    const io = new RecordedIo()
    return { code: await main(argv, io), ...io.written }
  }
  return { root, url, debugUrl, metric, digest, unused, config, run }
}

t.test('garbage-collect and readonly work through a running server', async t => {
  const { url, debugUrl, digest, unused, metric, run } = await setUp(t)

  const { code, stdout } = await run('garbage-collect', '--server', debugUrl, '--dry-run', '--grace', '0s')
  const young = await run('garbage-collect', '--server', debugUrl, '--json')
  const on = await run('readonly', 'on', '--server', debugUrl)
  const refused = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  const read = await fetch(`${url}/v2/team/app/manifests/v1`)
  const gauge = await metric('entrepot_readonly')
  const off = await run('readonly', 'off', '--server', debugUrl)
  await pushBlob(url, 'team/app', 'accepted again')

  t.equal(code, 0)
  t.match(stdout, `team/app: marking manifest ${digest} \n`)
  t.match(stdout, /\n\n\d+ blobs marked, \d blobs and 0 manifests eligible for deletion\n/)
  t.equal(young.code, 0)
  t.match(JSON.parse(young.stdout), { removed: { blobs: 0 } })
  t.equal((await fetch(`${url}/v2/team/app/blobs/${unused}`, { method: 'HEAD' })).status, 200)
  t.match(on, { code: 0, stdout: 'read-only is on\n' })
  t.match([refused.status, refused.headers.get('allow'), read.status], [405, 'GET, HEAD', 200])
  t.equal(gauge, 'entrepot_readonly 1')
  t.match(off, { code: 0, stdout: 'read-only is off\n' })
})

t.test('scrub and garbage-collect work on the store itself where no server is known', async t => {
  const { config, run } = await setUp(t)

  t.match(await run('garbage-collect', config), { code: 0, stdout: /0 blobs and 0 manifests eligible/ })
  t.match(await run('scrub', config), { code: 0, stdout: /^checked 3 blobs .*: 0 damaged/ })
  t.match(await run('garbage-collect', '--grace', 'long', config), { code: 1, stderr: /Cannot use --grace/ })
  t.match(await run('readonly', 'status', config), { code: 1, stderr: /Cannot find a running server/ })
})

function dataOf(root: string, digest: string): string {
  const hex = digest.slice('sha256:'.length)
  return path.join(root, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data')
}

t.test('scrub works through a running server, and has it fetch again what was mirrored', async t => {
  const upstream = await setUp(t)
  const mirror = await startMirrorServer(t, `{remoteurl: "${upstream.url}"}`, {
    root: path.join(upstream.root, 'mirror'),
  })
  await fetch(`${mirror.url}/v2/team/app/manifests/v1`)
  const { body } = await mirror.ask(`/v2/team/app/blobs/${upstream.unused}`)
  await until(async () => (await readFile(dataOf(mirror.root, upstream.unused)).catch(() => [])).length > 0)
  await writeFile(dataOf(mirror.root, upstream.unused), 'damaged')

  const dry = await upstream.run('scrub', '--server', mirror.debugUrl, '--dry-run')
  const found = await upstream.run('scrub', '--server', mirror.debugUrl, '--refetch', '--json')
  const again = await upstream.run('scrub', '--server', mirror.debugUrl, '--rate', '1GB')

  t.match(dry, { code: 1, stdout: `damaged: ${upstream.unused}` })
  t.equal(found.code, 1)
  t.match(JSON.parse(found.stdout), { damaged: 1, refetched: 1, found: [{ digest: upstream.unused }] })
  t.match(again, { code: 0, stdout: /0 damaged/ })
  t.same(await readFile(dataOf(mirror.root, upstream.unused)), body)
})

t.test('A second scrub at the same time is answered 409', async t => {
  const { debugUrl, run } = await setUp(t)
  const leaving = new AbortController()
  t.teardown(() => leaving.abort())
  const ask = () =>
    fetch(`${debugUrl}/admin/maintenance/scrub`, {
      ...{ method: 'POST', headers: { 'content-type': 'application/json' }, signal: leaving.signal },
      body: JSON.stringify({ bytesPerSecond: 0.001 }),
    })
  // One of them waits for its first event until it is ended; the other is refused.
  const second = (await Promise.race([ask(), ask()])).status
  const third = await run('scrub', '--server', debugUrl)

  t.equal(second, 409)
  t.match(third, { code: 1, stderr: /another one is running/ })
})

t.test(
  'An upload that is under way when the registry becomes read-only is refused, and goes on after',
  async t => {
    const { url, debugUrl, run } = await setUp(t)
    const location = await startUpload(url, 'team/app')
    const content = Buffer.from('in two halves')
    const digest = sha256(content)
    const patched = await fetch(location, { method: 'PATCH', body: content.subarray(0, 5) })
    await run('readonly', 'on', '--server', debugUrl)
    const refused = await Promise.all([
      fetch(locationOf(patched), { method: 'PATCH', body: content.subarray(5) }),
      fetch(`${url}/v2/team/app/manifests/v1`, { method: 'DELETE' }),
      fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'GET' }),
    ])
    const status = await run('readonly', 'status', '--server', debugUrl)
    await run('readonly', 'off', '--server', debugUrl)
    const put = await fetch(`${locationOf(patched)}&digest=${digest}`, {
      method: 'PUT',
      body: content.subarray(5),
    })

    t.same(
      refused.map(res => res.status),
      [405, 405, 404],
    )
    t.match(status, { stdout: 'read-only is on\n' })
    t.equal(put.status, 201)
  },
)
