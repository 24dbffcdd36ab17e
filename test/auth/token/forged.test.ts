// Tokens that nobody must believe.
import { createHmac } from 'node:crypto'
import { base64url, exportJWK } from 'jose'
import t from 'tap'
import {
  attacker,
  authority,
  challenge,
  claims,
  fingerprint,
  good,
  issued,
  jwks,
  listed,
  open,
  rsa,
  sign,
  sub,
  x5cOf,
} from '../../support/tokens.ts'

t.test('forged tokens get a challenge without an error', async t => {
  const { ask } = await open()
  const signed = await good()
  const [head = '', body = '', signature = ''] = signed.split('.')
  const encode = (value: object) => base64url.encode(JSON.stringify(value))
  const publicPem = rsa.certificate.publicKey.export({ type: 'spki', format: 'pem' })
  const hmac = (header: object, key: string | Buffer) => {
    const input = `${encode(header)}.${body}`
    return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
  }
  const embedded = { ...(await exportJWK(attacker.certificate.publicKey)), kid: 'mine' }
  const own = attacker.key
  const forged: Readonly<Record<string, string>> = {
    'alg none': `${encode({ alg: 'none', kid: 'ed' })}.${body}.`,
    'no signature': `${head}.${body}.`,
    'changed claims': `${head}.${encode({ ...claims, sub: 'root' })}.${signature}`,
    'wrong key': await sign(claims, { alg: 'ES256', kid: fingerprint(authority) }, own),
    'unknown kid': await sign(claims, { alg: 'ES256', kid: 'mine' }, own),
    'no hint at all': await sign(claims, { alg: 'ES256' }, own),
    'public RSA key as a secret': hmac({ alg: 'HS256', kid: fingerprint(rsa) }, String(publicPem)),
    'JWKS key as a secret': hmac({ alg: 'HS256', kid: 'ed' }, Buffer.from(String(jwks.keys[0]?.k ?? 'x'))),
    'embedded key': await sign(claims, { alg: 'ES256', jwk: embedded }, own),
    'embedded key with a known kid': await sign(
      claims,
      { alg: 'ES256', jwk: { ...embedded, kid: fingerprint(authority) } },
      own,
    ),
    'self-signed chain': await sign(claims, { alg: 'ES256', x5c: x5cOf(attacker) }, own),
    'chain with a foreign root after it': await sign(
      claims,
      { alg: 'ES256', x5c: x5cOf(attacker, authority) },
      own,
    ),
    "somebody else's chain": await sign(claims, { alg: 'ES256', x5c: x5cOf(issued) }, own),
    'chain of one that is no authority': await sign(
      claims,
      { alg: 'ES256', x5c: x5cOf(sub, issued) },
      sub.key,
    ),
    'empty chain': await sign(claims, { alg: 'ES256', x5c: [], kid: fingerprint(authority) }, authority.key),
    'chain of rubbish': await sign(claims, { alg: 'ES256', x5c: ['AAAA'] }, own),
    'chain of one whose key nobody knows': await sign(
      claims,
      { alg: 'ES256', x5c: [...x5cOf(attacker), ofUnknownKey(attacker)] },
      own,
    ),
    'chain that is no list': await sign(
      claims,
      { alg: 'EdDSA', kid: 'ed', x5c: 'x' } as never,
      listed.privateKey,
    ),
    'too long': await good({ ...claims, more: 'x'.repeat(40_000) }),
    'not a token': 'abc',
    'three dots': '...',
    'an array for a header': `${encode([])}.${body}.${signature}`,
  }
  for (const [what, token] of Object.entries(forged)) t.equal(await ask(token), challenge, what)
})

/** The same certificate, but that its key is of a kind that there is not. */
function ofUnknownKey(from: typeof authority): string {
  const der = Buffer.from(from.certificate.raw)
  const ecPublicKey = Buffer.from('06072a8648ce3d0201', 'hex')
  der[der.indexOf(ecPublicKey) + ecPublicKey.length - 1] = 0x7f
  return der.toString('base64')
}
