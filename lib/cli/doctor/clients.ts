// What the clients on this machine are told of a registry, and what to tell them where they are told nothing. Of TOML
// only the lines that matter are read.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fail, ok, warn, type Finding } from './check.ts'

export type ClientName = 'docker' | 'containerd' | 'podman' | 'buildkit'

export const clientNames: readonly ClientName[] = ['docker', 'containerd', 'podman', 'buildkit']

/** `root` is where `/` of the machine lies. */
export async function checkClient(client: ClientName, url: URL, root: string): Promise<Finding> {
  return await checks[client](url, root)
}

const checks: Readonly<Record<ClientName, (url: URL, root: string) => Promise<Finding>>> = {
  async docker(url, root) {
    const path = '/etc/docker/daemon.json'
    const remedy = `Put into ${path}, then restart Docker:\n${snippets.docker(url)}`
    const text = await read(root, path)
    if (text === undefined) return warn('docker', `there is no ${path}`, remedy)
    const settings = parseObject(text)
    if (settings === undefined)
      return fail('docker', `${path} is not JSON`, 'Docker does not start with it: mend it.')
    const mirrors = textsIn(settings['registry-mirrors']).map(withoutSlash)
    if (!mirrors.includes(withoutSlash(url.href)))
      return warn('docker', `registry-mirrors in ${path} does not have ${withoutSlash(url.href)}`, remedy)
    const isPlain = url.protocol === 'http:' && !isLoopback(url)
    if (isPlain && !textsIn(settings['insecure-registries']).includes(url.host))
      return fail('docker', `insecure-registries in ${path} does not have ${url.host}`, remedy)
    const ca = await read(root, `/etc/docker/certs.d/${url.host}/ca.crt`)
    const trust = ca === undefined ? '' : `, and trusts certs.d/${url.host}/ca.crt`
    return ok('docker', `pulls of docker.io go to ${withoutSlash(url.href)} first${trust}`)
  },
  async containerd(url, root) {
    const folder = '/etc/containerd/certs.d'
    const remedy = `Put into ${folder}/docker.io/hosts.toml:\n${snippets.containerd(url)}`
    const config = (await read(root, '/etc/containerd/config.toml')) ?? ''
    const found: string[] = []
    for (const host of await list(root, folder)) {
      const hosts = withoutComments((await read(root, `${folder}/${host}/hosts.toml`)) ?? '')
      if (hosts.includes(`"${withoutSlash(url.href)}"`) || hosts.includes(`"${withoutSlash(url.href)}/`))
        found.push(host)
    }
    if (found.length === 0)
      return warn('containerd', `no hosts.toml below ${folder} names ${url.host}`, remedy)
    if (!/^\s*config_path\s*=\s*["'][^"']*\/etc\/containerd\/certs\.d/m.test(withoutComments(config)))
      return warn(
        'containerd',
        `config_path in /etc/containerd/config.toml does not name ${folder}`,
        `Kubernetes does not look there without it. Set, and restart containerd:\n${snippets.containerdConfig}`,
      )
    return ok('containerd', `pulls of ${found.join(', ')} go to ${url.host}`)
  },
  async podman(url, root) {
    const folder = '/etc/containers/registries.conf.d'
    const remedy = `Put into ${folder}/50-mirror.conf:\n${snippets.podman(url)}`
    const files = [
      '/etc/containers/registries.conf',
      ...(await list(root, folder)).map(name => `${folder}/${name}`),
    ]
    for (const file of files) {
      const text = withoutComments((await read(root, file)) ?? '')
      const at = text.search(
        new RegExp(`^\\s*location\\s*=\\s*["']${literal(url.host)}(?:/[^"']*)?["']`, 'm'),
      )
      if (at < 0) continue
      const table = text.slice(at).split(/^\s*\[/m, 1)[0] ?? ''
      if (url.protocol === 'http:' && !/^\s*insecure\s*=\s*true/m.test(table))
        return fail('podman', `${file} has ${url.host} without insecure = true`, remedy)
      return ok('podman', `${file} has ${url.host}`)
    }
    return warn('podman', `neither registries.conf nor ${folder} has ${url.host}`, remedy)
  },
  async buildkit(url, root) {
    const path = '/etc/buildkit/buildkitd.toml'
    const text = withoutComments((await read(root, path)) ?? '')
    if (text.includes(`"${url.host}"`)) return ok('buildkit', `${path} has ${url.host}`)
    return warn('buildkit', `${path} does not have ${url.host}`, `Put into it:\n${snippets.buildkit(url)}`)
  },
}

/** To be pasted. */
const snippets = {
  docker: (url: URL) =>
    JSON.stringify(
      {
        'registry-mirrors': [withoutSlash(url.href)],
        ...(url.protocol === 'http:' && { 'insecure-registries': [url.host] }),
      },
      undefined,
      2,
    ),
  containerd: (url: URL) =>
    `server = "https://registry-1.docker.io"\n\n[host."${withoutSlash(url.href)}"]\n  capabilities = ["pull", "resolve"]`,
  containerdConfig:
    '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"',
  podman: (url: URL) =>
    `[[registry]]\nprefix = "docker.io"\nlocation = "docker.io"\n\n[[registry.mirror]]\nlocation = "${url.host}"` +
    (url.protocol === 'http:' ? '\ninsecure = true' : ''),
  buildkit: (url: URL) =>
    `[registry."docker.io"]\n  mirrors = ["${url.host}"]` +
    (url.protocol === 'http:' ? `\n\n[registry."${url.host}"]\n  http = true` : ''),
}

async function read(root: string, path: string): Promise<string | undefined> {
  return await readFile(join(root, path), 'utf8').catch(() => undefined)
}

async function list(root: string, path: string): Promise<readonly string[]> {
  return (await readdir(join(root, path)).catch(() => [])).toSorted()
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
}

function withoutComments(toml: string): string {
  return toml.replace(/^\s*#.*$/gm, '')
}

function withoutSlash(text: string): string {
  return text.replace(/\/+$/, '')
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** Docker trusts its own machine without TLS. */
function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.')
}
