// A token service of the test's own: its keys and certificates, tokens of all kinds, and a registry's judgement on them.
import { execFileSync } from 'node:child_process'
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  X509Certificate,
  type KeyObject,
} from 'node:crypto'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { base64url, CompactSign, exportJWK, type CompactJWSHeaderParameters } from 'jose'
import t from 'tap'
import { UnauthorizedError, type Access, type Credentials } from '../../lib/auth/access-controller.ts'
import { createAccessController } from '../../lib/auth/schemes.ts'
import { signingAlgorithms, type AccessRuleConfig, type TokenAuthConfig } from '../../lib/config/auth.ts'
import { createLogger } from '../../lib/log.ts'
import { createMetrics } from '../../lib/metrics.ts'
import { ManualClock } from './manual-clock.ts'

export const dir = fs.mkdtempSync(path.join(tmpdir(), 'entrepot-tokens-'))
t.teardown(() => fs.rmSync(dir, { recursive: true }))
export const rsa = certified('rsa', ['rsa:2048'])
export const authority = certified('authority', ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'])
export const attacker = certified('attacker', ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'])
export const issued = issue('issued', authority, 30)
/** Valid for a day. */
export const brief = issue('brief', authority, 1)
/** By one that is no authority. */
export const sub = issue('sub', issued, 30)
/** Later than every certificate's beginning. */
export const now = Math.ceil(Date.now() / 1000) + 1
export const listed = generateKeyPairSync('ed25519')
export const secret = Buffer.alloc(32, 'secret')
export const jwks = {
  keys: [
    { ...(await exportJWK(listed.publicKey)), kid: 'ed', alg: 'EdDSA' },
    { kty: 'oct', kid: 'shared', k: base64url.encode(secret) },
  ],
}
fs.writeFileSync(`${dir}/bundle.pem`, rsa.pem + authority.pem)
fs.writeFileSync(`${dir}/jwks.json`, JSON.stringify(jwks))

interface Certified {
  readonly name: string
  readonly pem: string
  readonly certificate: X509Certificate
  readonly key: KeyObject
}

function certified(name: string, newKey: readonly string[]): Certified {
  openssl(
    'req',
    '-x509',
    '-newkey',
    ...newKey,
    '-nodes',
    '-days',
    '30',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
  )
  return read(name)
}

function issue(name: string, by: Certified, days: number): Certified {
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
  )
  openssl(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${by.name}.pem`,
    '-CAkey',
    `${by.name}.key`,
    '-CAcreateserial',
    '-days',
    String(days),
    '-out',
    `${name}.pem`,
  )
  return read(name)
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
}

function read(name: string): Certified {
  const pem = fs.readFileSync(`${dir}/${name}.pem`, 'utf8')
  const key = createPrivateKey(fs.readFileSync(`${dir}/${name}.key`, 'utf8'))
  return { name, pem, certificate: new X509Certificate(pem), key }
}

/** The key id that older token services write, made another way than ours. */
export function fingerprint({ certificate }: Certified): string {
  const der = certificate.publicKey.export({ type: 'spki', format: 'der' })
  let bits = BigInt(`0x${createHash('sha256').update(der).digest('hex').slice(0, 60)}`)
  let text = ''
  for (let i = 0; i < 48; i++, bits >>= 5n)
    text = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.charAt(Number(bits & 31n)) + text
  return text.replace(/(.{4})(?=.)/g, '$1:')
}

export const x5cOf = (...chain: readonly Certified[]) =>
  chain.map(({ certificate }) => certificate.raw.toString('base64'))

export const config: TokenAuthConfig = {
  scheme: 'token',
  realm: 'https://auth.example/token',
  service: 'registry.example',
  issuer: 'issuer',
  rootcertbundle: `${dir}/bundle.pem`,
  jwks: `${dir}/jwks.json`,
  autoredirect: false,
  autoredirectpath: '/auth/token',
  signingalgorithms: signingAlgorithms,
}
export const claims = {
  iss: 'issuer',
  aud: 'registry.example',
  sub: 'alice',
  exp: now + 300,
  nbf: now - 5,
  access: [
    { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
    { type: 'repository', name: 'all', actions: ['*'] },
    { type: 'repository', name: 'nginx', actions: ['pull'] },
  ],
}

export function sign(
  payload: object,
  header: CompactJWSHeaderParameters,
  key: KeyObject | Uint8Array,
): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader(header).sign(key)
}

export const good = (payload: object = claims) =>
  sign(payload, { alg: 'EdDSA', kid: 'ed' }, listed.privateKey)

export async function open({
  more = {},
  rules,
}: { more?: Partial<TokenAuthConfig>; rules?: readonly AccessRuleConfig[] } = {}) {
  const clock = new ManualClock(now * 1000)
  const logger = createLogger({ level: 'error', formatter: 'json', fields: {}, write: () => {} })
  const metrics = createMetrics()
  const { controller } = await createAccessController({ ...config, ...more }, rules, {
    clock,
    logger,
    metrics,
  })
  /** The user who is let in, or the challenge. */
  async function ask(
    token: string | undefined,
    wanted: readonly Access[] = [],
    more: Partial<Credentials> = {},
  ) {
    const authorization = token === undefined ? undefined : `Bearer ${token}`
    try {
      const { principal } = await controller.authorize(
        { authorization, host: 'registry.example', ...more },
        wanted,
      )
      return principal ?? 'nobody'
    } catch (err) {
      if (err instanceof UnauthorizedError) return err.challenge
      throw err
    }
  }
  return { ask, clock, controller }
}

export const to = (name: string, ...actions: readonly Access['action'][]) =>
  actions.map((action): Access => ({ type: 'repository', name, action }))
export const challenge = 'Bearer realm="https://auth.example/token",service="registry.example"'
