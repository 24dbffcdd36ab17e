import t, { type Test } from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { parseTag, tagReference } from '../../lib/oci/reference.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { withCircuit } from '../../lib/upstream/circuit.ts'
import { readAll, silentLogger, startClient, upstreamError } from '../support/upstream-client.ts'

const name = parseRepositoryName('library/nginx')
const content = Buffer.alloc(1_000, 'x')
const digest = digestOf(content)
const noAnswer = { status: 'reset' as const, times: 2 }

async function start(t: Test) {
  const { fake, client, clock } = await startClient(t)
  fake.addBlob(name, content)
  const lines: string[] = []
  const upstream = withCircuit(client, { clock, logger: silentLogger(line => lines.push(line)) })
  const stat = () => upstream.statBlob(name, digest)
  return {
    ...{ fake, clock, upstream, lines, stat },
    async open() {
      for (let failure = 1; failure <= 3; failure++) {
        fake.failNext(noAnswer)
        await t.rejects(stat(), upstreamError('unavailable', { retryAfterMs: undefined }))
      }
    },
  }
}

t.test('withCircuit() fails at once after three calls in a row without an answer', async t => {
  const { fake, clock, upstream, lines, open } = await start(t)
  await open()
  const asked = fake.requests.length
  clock.advance(4_000)

  const expected = upstreamError('unavailable', { retryAfterMs: 6_000 })
  await t.rejects(upstream.statBlob(name, digest), expected)
  await t.rejects(upstream.openBlob(name, digest), expected)
  const latest = tagReference(parseTag('latest'))
  await t.rejects(upstream.manifest(name, latest), expected)
  await t.rejects(upstream.statManifest(name, latest), expected)

  t.equal(fake.requests.length, asked, 'nobody was asked')
  t.equal(lines.length, 1)
  t.match(lines[0], /does not answer/)
})

t.test('withCircuit() stays open for as long again when the probe fails', async t => {
  const { fake, clock, lines, open, stat } = await start(t)
  await open()
  clock.advance(10_000)
  fake.failNext(noAnswer)
  const asked = fake.requests.length

  await t.rejects(stat(), upstreamError('unavailable', { retryAfterMs: undefined }))
  t.equal(fake.requests.length, asked + 2)
  clock.advance(9_999)
  await t.rejects(stat(), upstreamError('unavailable', { retryAfterMs: 1 }))

  t.equal(fake.requests.length, asked + 2)
  t.equal(lines.length, 1, 'said once')
})

t.test('withCircuit() lets one probe through, and everybody once it was answered', async t => {
  const { fake, clock, lines, open, stat } = await start(t)
  await open()
  clock.advance(10_000)
  fake.hold('headers')

  const probe = stat()
  await fake.held()
  await t.rejects(stat(), upstreamError('unavailable', { retryAfterMs: 0 }))
  fake.release()

  t.equal((await probe).size, 1_000)
  t.same((await Promise.all([stat(), stat()])).length, 2)
  t.match(lines[1], /answers again/)
})

t.test('withCircuit() lets the next probe through when the caller of one has left', async t => {
  const { fake, clock, upstream, open, stat } = await start(t)
  await open()
  clock.advance(10_000)
  fake.hold('headers')
  const controller = new AbortController()

  const probe = upstream.statBlob(name, digest, { signal: controller.signal })
  await fake.held()
  controller.abort(new Error('client has gone'))
  await t.rejects(probe, { message: 'client has gone' })
  fake.release()

  t.equal((await stat()).size, 1_000)
})

t.test('withCircuit() closes on any answer, also one that is a failure', async t => {
  const { fake, clock, open, stat } = await start(t)
  await open()
  clock.advance(10_000)
  fake.failNext({ status: 503 })

  await t.rejects(stat(), upstreamError('unavailable', { status: 503 }))
  t.equal((await stat()).size, 1_000)
})

t.test(
  'withCircuit() counts neither answers nor bodies that break off, nor failures between answers',
  async t => {
    const { fake, upstream, stat } = await start(t)
    for (const status of [404, 500, 429, 403, 503]) {
      fake.failNext({ status, times: 2 })
      await upstream.openBlob(name, digest).catch(() => {})
      await upstream.openBlob(name, digest).catch(() => {})
    }
    fake.behaviour.cutAfterBytes = 10
    for (let cut = 0; cut < 5; cut++) {
      await t.rejects(readAll(await upstream.openBlob(name, digest)), upstreamError('unavailable'))
    }
    for (let failure = 0; failure < 5; failure++) {
      fake.failNext(noAnswer)
      await t.rejects(stat(), upstreamError('unavailable'))
      await stat()
    }
    t.equal((await stat()).size, 1_000)
  },
)
