import t from 'tap'
import { Retries } from '../../lib/upstream/retries.ts'

const patient = (random: number, retries?: number) => new Retries({ retries, random: () => random })

t.test('Retries gives no further try to what another would not help', async t => {
  for (const status of [200, 206, 304, 400, 401, 403, 404, 405, 416, 501, 505]) {
    t.equal(patient(0).afterStatus(status), undefined, `${status}`)
  }
  for (const code of [
    'UND_ERR_CONNECT_TIMEOUT',
    'UND_ERR_HEADERS_TIMEOUT',
    'ETIMEDOUT',
    'ENOTFOUND',
    'CERT_HAS_EXPIRED',
    '',
  ]) {
    t.equal(patient(0).afterError(code), undefined, code)
    t.equal(patient(0).reconnects(code), false, code)
  }
})

t.test('Retries gives as many further tries as it was told, two by default', async t => {
  const none = patient(0, 0)
  t.equal(none.afterStatus(503), undefined)
  const two = patient(0)
  t.type(two.afterStatus(503), 'number')
  t.type(two.afterError('ECONNREFUSED'), 'number')
  t.equal(two.afterStatus(503), undefined)
})

t.test('Retries gives none where its pause would be longer than two seconds in all', async t => {
  t.equal(patient(0).afterStatus(429, 2001), undefined)
  const retries = patient(0, 10)
  t.equal(retries.afterStatus(429, 1500), 1500)
  t.equal(retries.afterStatus(429, 501), undefined, 'together too long')
  t.equal(retries.afterStatus(429, 500), 500)
  t.equal(retries.afterStatus(503), undefined)
})

t.test('Retries pauses twice as long each time, by half as much at random', async t => {
  for (const [random, pauses] of [
    [0, [100, 200, 400, 800]],
    [0.5, [150, 300, 600, undefined]],
    [1, [200, 400, 800, undefined]],
  ] as const) {
    const retries = patient(random, 4)
    for (const pauseMs of pauses) t.equal(retries.afterStatus(500), pauseMs, `${random}`)
  }
  t.equal(patient(1).afterStatus(429, 0), 200, 'Retry-After: 0 is no reason to hurry')
})

t.test('Retries tries statuses and broken connections again that may pass', async t => {
  for (const status of [408, 429, 500, 502, 503, 504])
    t.equal(patient(0).afterStatus(status), 100, `${status}`)
  for (const code of ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'EHOSTUNREACH', 'EAI_AGAIN']) {
    t.equal(patient(0).afterError(code), 100, code)
  }
})

t.test('Retries.reconnects() is true once, and costs no try', async t => {
  const retries = patient(0, 1)
  t.equal(retries.reconnects('ECONNREFUSED'), false, 'no connection is no stale one')
  t.equal(retries.reconnects('ECONNRESET'), true)
  t.equal(retries.reconnects('UND_ERR_SOCKET'), false)
  t.equal(retries.afterError('UND_ERR_SOCKET'), 100)
  t.equal(retries.afterError('UND_ERR_SOCKET'), undefined)
})
