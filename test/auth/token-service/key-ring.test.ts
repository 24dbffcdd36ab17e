// The keys over time: who signs, what is published, what goes; in one process and in several over one directory.
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import {
  createLocalJWKSet,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  jwtVerify,
  SignJWT,
} from 'jose'
import t, { type Test } from 'tap'
import { KeyRing } from '../../../lib/auth/token-service/key-ring.ts'
import { keepInDirectory, keepInMemory } from '../../../lib/auth/token-service/key-store.ts'
import { createTokens, InvalidTokenError } from '../../../lib/auth/token-service/tokens.ts'
import { createLogger } from '../../../lib/log.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const minute = 60_000
const hour = 60 * minute
const settings = { issuer: 'us', service: 'registry', expiryMs: 5 * minute, refreshExpiryMs: 10 * hour }

function logTo(lines: string[]) {
  return createLogger({ level: 'info', formatter: 'json', fields: {}, write: line => void lines.push(line) })
}

/** One process. */
async function open(directory: string | undefined, clock: ManualClock, log: string[] = []) {
  const logger = logTo(log)
  const store = directory === undefined ? keepInMemory() : await keepInDirectory(directory, logger)
  const ring = await KeyRing.open({ store, clock, logger, rotationMs: 24 * hour, longestLifeMs: 10 * hour })
  return { ring, tokens: createTokens(settings, { ring, clock }) }
}

async function kidsOf(ring: KeyRing) {
  return (await ring.published()).keys.map(({ kid }) => kid)
}

function keyDirectory(t: Test) {
  return `${t.testdir({})}/new/keys`
}

t.test('keys are files that only their owner reads, in a directory that only their owner enters', async t => {
  const directory = keyDirectory(t)

  await open(directory, new ManualClock())

  const [file = '', ...others] = readdirSync(directory)
  t.same(others, [], 'nothing else is left')
  t.match(file, /^key-[\w-]{43}\.json$/)
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.equal(statSync(`${directory}/${file}`).mode & 0o777, 0o600)
})

t.test('the published keys verify tokens and have no private part', async t => {
  const clock = new ManualClock()
  const { ring, tokens } = await open(undefined, clock)

  const { token } = await tokens.signAccess('alice', [])
  const keys = await ring.published()

  const verified = await jwtVerify(token, createLocalJWKSet(keys), {
    issuer: 'us',
    audience: 'registry',
    currentDate: new Date(clock.now()),
  })
  t.equal(verified.payload.sub, 'alice')
  t.same(Object.keys(keys.keys[0] ?? {}).toSorted(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
})

t.test('a restart goes on with the same key', async t => {
  const directory = keyDirectory(t)
  const clock = new ManualClock()
  const { tokens } = await open(directory, clock)
  const { token } = await tokens.signAccess('alice', [])

  const restarted = await open(directory, clock)

  t.match(await restarted.tokens.verifyAccess(token), { user: 'alice' })
})

for (const kept of ['in memory', 'in a directory'])
  t.test(
    `a key is published before it signs, and after it, until what it signed has expired (${kept})`,
    async t => {
      const clock = new ManualClock()
      const { ring, tokens } = await open(kept === 'in memory' ? undefined : keyDirectory(t), clock)
      const signer = async () => (await ring.signer()).kid
      const [first] = await kidsOf(ring)

      clock.advance(24 * hour)
      const [, second, ...others] = await kidsOf(ring)
      t.type(second, 'string')
      t.same(others, [])
      t.equal(await signer(), first, 'the new one waits')

      clock.advance(9 * minute)
      const refresh = await tokens.signRefresh('alice', 'entry')
      t.equal(decodeProtectedHeader(refresh).kid, first)

      clock.advance(minute)
      t.equal(await signer(), second)

      clock.advance(10 * hour - minute)
      t.same(await kidsOf(ring), [first, second])
      t.equal(
        await tokens.verifyRefresh(refresh, async () => 'entry'),
        'alice',
        'from the last moment of its key',
      )

      clock.advance(minute + 2 * minute)
      t.same(await kidsOf(ring), [second])
    },
  )

t.test(
  'two processes take the tokens of each other, also of keys that one of them has just made',
  async t => {
    const directory = keyDirectory(t)
    const clock = new ManualClock()
    const [one, two] = await Promise.all([open(directory, clock), open(directory, clock)])

    for (const [from, to] of [
      [one, two],
      [two, one],
    ] as const) {
      const { token } = await from.tokens.signAccess('alice', [])
      t.match(await to.tokens.verifyAccess(token), { user: 'alice' })
    }

    clock.advance(24 * hour)
    await one.ring.published()
    clock.advance(10 * minute)
    const { token } = await one.tokens.signAccess('bob', [])
    t.match(await two.tokens.verifyAccess(token), { user: 'bob' })
    t.equal((await one.ring.signer()).kid, (await two.ring.signer()).kid)
    t.same(await kidsOf(one.ring), await kidsOf(two.ring))
  },
)

t.test('kids made up by clients have the directory read once a second at most', async t => {
  const clock = new ManualClock()
  const store = keepInMemory()
  let reads = 0
  const counted = { ...store, read: () => (reads++, store.read()) }
  const ring = await KeyRing.open({
    store: counted,
    clock,
    logger: logTo([]),
    rotationMs: 24 * hour,
    longestLifeMs: hour,
  })
  const before = reads

  for (let at = 0; at < 100; at++) t.equal(await ring.find(`kid ${at}`), undefined)
  t.equal(reads, before + 1)
  clock.advance(1000)
  await ring.find('another')
  t.equal(reads, before + 2)
})

t.test('a file that is no key, or is named as another, is left alone and complained about once', async t => {
  const directory = keyDirectory(t)
  const clock = new ManualClock()
  await open(directory, clock)
  const [file = ''] = readdirSync(directory)
  const other = `key-${'a'.repeat(43)}.json`
  writeFileSync(`${directory}/${other}`, readFileSync(`${directory}/${file}`))
  writeFileSync(`${directory}/key-${'b'.repeat(43)}.json`, '{"d": "secret')
  writeFileSync(`${directory}/README`, 'not a key')
  chmodSync(directory, 0o755)
  const log: string[] = []

  const { ring } = await open(directory, clock, log)
  clock.advance(hour)
  await ring.published()

  t.equal((await kidsOf(ring)).length, 1)
  t.equal(log.filter(line => line.includes('cannot use a signing key')).length, 2)
  t.equal(log.filter(line => line.includes('others than its owner')).length, 1)
  t.notOk(log.join().includes('secret'))
})

t.test('verifyAccess() refuses what is forged, expired, or for somebody else', async t => {
  const clock = new ManualClock()
  const { ring, tokens } = await open(undefined, clock)
  const { kid, privateKey } = await ring.signer()
  const seconds = clock.now() / 1000
  const stranger = await generateKeyPair('ES256', { extractable: true })
  const good = { iss: 'us', aud: 'registry', sub: 'eve', exp: seconds + 60, access: [] }
  type Signed = Parameters<SignJWT['sign']>[0]
  const forge = (claims: object, header: object = {}, key: Signed = privateKey) =>
    new SignJWT({ ...good, ...claims })
      .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid, ...header })
      .sign(key)
  const unsigned = `${btoa('{"alg":"none"}')}.${btoa(JSON.stringify(good))}.`.replaceAll('=', '')

  t.match(await tokens.verifyAccess(await forge({})), { user: 'eve' }, 'what the others vary is good')
  const bad: Readonly<Record<string, string>> = {
    'another key': await forge({}, {}, stranger.privateKey),
    'a key that it brings along': await forge(
      {},
      { kid: 'unknown', jwk: await exportJWK(stranger.publicKey) },
      stranger.privateKey,
    ),
    'a symmetric key': await forge({}, { alg: 'HS256' }, new TextEncoder().encode('x'.repeat(32))),
    'no signature': unsigned,
    'no kid': await forge({}, { kid: undefined }),
    'another type': await forge({}, { typ: 'refresh+jwt' }),
    'another issuer': await forge({ iss: 'them' }),
    'another audience': await forge({ aud: 'elsewhere' }),
    expired: await forge({ exp: seconds - 61 }),
    'no expiry': await forge({ exp: undefined }),
    'not yet good': await forge({ nbf: seconds + 61 }),
    'no access': await forge({ access: undefined }),
    'unknown actions': await forge({ access: [{ type: 'repository', name: 'a', actions: ['fly'] }] }),
    'too long': await forge({ filler: 'x'.repeat(65 * 1024) }),
    'no token': 'nonsense',
  }
  for (const [what, token] of Object.entries(bad))
    await t.rejects(tokens.verifyAccess(token), InvalidTokenError, what)
})
