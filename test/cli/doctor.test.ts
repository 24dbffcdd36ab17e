import { once } from 'node:events'
import fs from 'node:fs'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { main } from '../../lib/cli/main.ts'
import type { Finding } from '../../lib/cli/doctor/check.ts'
import { makeCertificates } from '../support/certificates.ts'
import { startApp } from '../support/http-client.ts'
import { RecordedIo } from '../support/recorded-io.ts'

async function doctor(...argv: readonly string[]) {
  const io = new RecordedIo()
  const exitCode = await main(['doctor', ...argv, '--json'], io)
  const findings = JSON.parse(io.written.stdout || '[]') as readonly Finding[]
  const verdict = (check: string) => findings.find(one => one.check === check)?.verdict
  return { exitCode, findings, verdict, ...io.written }
}

function machine(t: Test, files: Readonly<Record<string, string>>): string {
  const root = t.testdir({})
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true })
    fs.writeFileSync(path.join(root, name), text)
  }
  return root
}

void t.test('registry doctor is content with a registry that works and clients that know it', async t => {
  const { url } = await startApp(t)
  const { host } = new URL(url)
  const root = machine(t, {
    'etc/docker/daemon.json': JSON.stringify({ 'registry-mirrors': [`${url}/`] }),
    'etc/containerd/config.toml': '[plugins]\n  config_path = "/etc/containerd/certs.d"\n',
    'etc/containerd/certs.d/docker.io/hosts.toml': `[host."${url}"]\n`,
    'etc/containers/registries.conf.d/m.conf': `[[registry.mirror]]\nlocation = "${host}"\ninsecure = true\n`,
    'etc/buildkit/buildkitd.toml': `[registry."docker.io"]\n  mirrors = ["${host}"]\n`,
  })
  const { exitCode, findings } = await doctor(url, '--root', root)

  t.equal(exitCode, 0)
  t.same(
    findings.map(({ check, verdict }) => `${check} ${verdict}`),
    ['name ok', 'port ok', 'api ok', 'clock ok', 'docker ok', 'containerd ok', 'podman ok', 'buildkit ok'],
  )
})

void t.test('registry doctor says what to give to clients that do not know the registry', async t => {
  const { url } = await startApp(t)
  const root = machine(t, { 'etc/containers/registries.conf': `# location = "${new URL(url).host}"\n` })
  const { exitCode, findings } = await doctor(url, '--root', root)

  t.equal(exitCode, 0)
  t.match(
    findings.filter(({ verdict }) => verdict === 'warn').map(({ remedy }) => remedy),
    [/"registry-mirrors"/, /\[host\."http/, /\[\[registry\.mirror\]\]/, /\[registry\."docker\.io"\]/],
  )
  const broken = machine(t, { 'etc/docker/daemon.json': '{' })
  t.match(await doctor(url, '--root', broken, '--client', 'docker'), { exitCode: 1 })
})

void t.test('registry doctor tells apart what fails on the way', async t => {
  const closed = await startApp(t)
  closed.server.close()
  await once(closed.server, 'close')
  const refused = await doctor(closed.url, '--client', 'docker')
  t.equal(refused.verdict('port'), 'fail')
  t.equal(refused.exitCode, 1)
  t.equal((await doctor('http://no-such-name.invalid')).verdict('name'), 'fail')
  t.match(await doctor('ftp://x'), { exitCode: 1, stderr: /Cannot use "ftp:/ })
  const nothing = await doctor('--config', '/no/such/config.yml')
  t.equal(nothing.verdict('config'), 'fail')

  const plain = await startApp(t)
  const tls = await doctor(plain.url.replace('http:', 'https:'), '--client', 'docker')
  t.equal(tls.verdict('certificate'), 'fail')
  const missing = await doctor(plain.url, '--client', 'docker', '--image', 'no/such:1')
  t.equal(missing.verdict('pull'), 'fail')
})

void t.test('registry doctor looks at certificates', async t => {
  const certificates = makeCertificates(t, ['127.0.0.1'])
  if (certificates === undefined) return t.pass('no openssl')
  const { cert, key } = certificates.server
  const server = https.createServer({ cert, key }, (_, res) => res.end())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { findings } = await doctor(`https://127.0.0.1:${(server.address() as AddressInfo).port}`)

  t.match(
    findings.find(({ check }) => check === 'certificate'),
    { verdict: 'fail', found: /authority is not trusted/, remedy: /certs\.d/ },
  )
})
