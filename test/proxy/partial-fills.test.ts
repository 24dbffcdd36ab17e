// What a fill has got is not lost when its upstream fails it, and never harms the fill that goes on with it.
import fs from 'node:fs'
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import type { Digest } from '../../lib/oci/digest.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { UpstreamError } from '../../lib/upstream/errors.ts'
import { layout } from '../../lib/storage/layout.ts'
import { startFakeUpstream, type FakeUpstreamOptions } from '../support/fake-upstream.ts'
import { app, lastByteAltered, rangesAsked, startFillProcess } from '../support/fill-process.ts'
import { faultyDriver } from '../support/faulty-driver.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { filesIn, openTestDriver } from '../support/stores.ts'
import { upstreamError } from '../support/upstream-client.ts'
import { until } from '../support/until.ts'
import { openDescriptorsBelow } from '../support/descriptors.ts'

const mebibyte = 1024 * 1024
const bytes = randomBytes(4 * mebibyte)
const minuteMs = 60_000

/** A directory in which a process that was drained has left the first `keptBytes` of the blob. */
async function startWithKept(t: Test, keptBytes: number, behaviour: FakeUpstreamOptions = {}) {
  const upstream = await startFakeUpstream(t, behaviour)
  const digest = upstream.addBlob(app, bytes)
  const root = t.testdir({})
  const first = await startFillProcess(t, { upstream, root })
  upstream.hold(keptBytes)
  const pulling = first.pull(digest)
  pulling.catch(() => {})
  await until(() => first.fills.find(digest)?.bytesStored === keptBytes)
  await first.fills.drain(0)
  await t.rejects(pulling, /shutting down/)
  upstream.release()
  await until(() => upstream.openBodies === 0)
  upstream.requests.splice(0)
  return { upstream, digest, root, first, second: await startFillProcess(t, { upstream, root }) }
}

const partialOf = (digest: Digest) => layout.partialFill(digest).slice(layout.root.length)

t.test('Fill keeps nothing that is as soon fetched again', async t => {
  const upstream = await startFakeUpstream(t)
  const digest = upstream.addBlob(app, bytes)
  const { driver, fills, pull } = await startFillProcess(t, { upstream })
  upstream.hold(mebibyte - 1)
  const pulling = pull(digest)
  pulling.catch(() => {})
  await until(() => fills.find(digest)?.bytesStored === mebibyte - 1)

  await fills.drain(0)

  await t.rejects(pulling, /shutting down/)
  t.same(await filesIn(driver), [])
})

t.test('Fill keeps nothing when it is storage that has failed', async t => {
  const upstream = await startFakeUpstream(t)
  const digest = upstream.addBlob(app, bytes)
  const faults = faultyDriver(await openTestDriver(t, 'filesystem'))
  const { driver, fills, pull } = await startFillProcess(t, { upstream, driver: faults.driver })
  upstream.hold(2 * mebibyte)
  const pulling = pull(digest)
  pulling.catch(() => {})
  await until(() => fills.find(digest)?.bytesStored === 2 * mebibyte)
  faults.fail('write', new Error('no space left on device'))
  upstream.release()

  await t.rejects(pulling, { message: 'no space left on device' })
  t.same(await filesIn(driver), [])
})

t.test('Fill is not harmed by trouble with what is kept', async t => {
  const upstream = await startFakeUpstream(t)
  const digest = upstream.addBlob(app, bytes)
  const faults = faultyDriver(await openTestDriver(t, 'filesystem'))
  const { driver, logLines, pull } = await startFillProcess(t, { upstream, driver: faults.driver })
  await driver.writeAll(layout.partialFill(digest), bytes.subarray(0, 2 * mebibyte))
  faults.fail('stat', new Error('input/output error'), { path: /\/partial\// })
  faults.fail('openWriter', new Error('input/output error'), { path: /\/_fills\// })

  await t.rejects(pull(digest), { message: 'input/output error' }, 'a fill needs a file of its own')
  t.ok((await pull(digest)).equals(bytes))

  t.ok(logLines.some(line => line.includes('cannot go on with what was kept')))
  t.same(
    (await filesIn(driver)).filter(path => path.startsWith('/_fills')),
    [],
  )
})

t.test('Fill fetches anew, once, what it has gone on with and found wrong', async t => {
  const { upstream, digest, root, first, second } = await startWithKept(t, 2 * mebibyte)
  const kept = root + layout.partialFill(digest)
  fs.writeFileSync(kept, lastByteAltered(fs.readFileSync(kept)))

  const fill = await second.join(digest)
  const misled = await fill.read()
  await t.rejects(
    new Promise((resolve, reject) => misled?.on('end', resolve).on('error', reject).resume()),
    upstreamError('invalid'),
  )

  t.match(await fill.settled, { kind: 'stored' })
  t.same(rangesAsked(upstream), [`bytes=${2 * mebibyte - 1}-`, undefined])
  t.ok((await second.pull(digest)).equals(bytes))
  t.same(
    (await filesIn(first.driver)).filter(path => path.startsWith('/_fills')),
    [],
  )
  await until(() => openDescriptorsBelow(root) === 0)
})

t.test('Fill of content that is wrong however it is fetched fails, and keeps nothing', async t => {
  const { upstream, digest, root, second } = await startWithKept(t, 2 * mebibyte)
  upstream.behaviour.alter = lastByteAltered

  const fill = await second.join(digest)

  t.match(await fill.settled, { kind: 'failed', error: { failure: 'invalid' } })
  t.same(rangesAsked(upstream), [`bytes=${2 * mebibyte - 1}-`, undefined])
  t.same(await filesIn(second.driver), [])
  await until(() => openDescriptorsBelow(root) === 0)
})

t.test('Fill throws away what is longer than the blob is said to be', async t => {
  for (const ignoreRange of [false, true]) {
    const { digest, root, second } = await startWithKept(t, 2 * mebibyte, { ignoreRange })
    fs.appendFileSync(root + layout.partialFill(digest), randomBytes(4 * mebibyte))

    t.ok((await second.pull(digest)).equals(bytes), `ranges ignored: ${ignoreRange}`)
    t.equal(await second.partials.find(digest), undefined)
  }
})

t.test('Fill leaves what is kept to others when the upstream refuses this repository', async t => {
  const { upstream, digest, second } = await startWithKept(t, 2 * mebibyte)
  const other = parseRepositoryName('other/app')

  await t.rejects(second.join(digest, { name: other }), upstreamError('unknown'))
  upstream.failNext({ status: 503 })
  await t.rejects(second.join(digest), UpstreamError)

  t.equal(await second.partials.find(digest), 2 * mebibyte)
  t.ok((await second.pull(digest)).equals(bytes))
})

t.test('Fill shows nothing of what is kept before the upstream has answered', async t => {
  const { upstream, digest, second } = await startWithKept(t, 2 * mebibyte)
  upstream.hold('headers')

  const joining = second.join(digest)
  await upstream.held()

  t.equal(second.fills.find(digest)?.size, undefined)
  await t.rejects(async () => await second.fills.find(digest)?.read(), TypeError)
  upstream.release()
  await (
    await joining
  ).settled
})

t.test('Fill goes on where a drained one ended, and serves what is there at once', async t => {
  const { upstream, digest, root, second } = await startWithKept(t, 2 * mebibyte)
  upstream.hold(1)
  const fill = await second.join(digest)

  const early = await fill.read({ start: 0, end: 2 * mebibyte })
  let received = 0
  for await (const chunk of early ?? []) received += (chunk as Buffer).length
  upstream.release()

  t.equal(received, 2 * mebibyte)
  t.match(await fill.settled, { kind: 'stored' })
  t.match(second.events.slice(0, 2), [{ kind: 'fill-started' }, { kind: 'fill-resumed' }])
  t.same(rangesAsked(upstream), [`bytes=${2 * mebibyte - 1}-`])
  t.equal(fill.bytesFetched, 2 * mebibyte)
  t.ok((await second.pull(digest)).equals(bytes))
  await until(() => openDescriptorsBelow(root) === 0)
})

t.test('Fill completes what was kept whole', async t => {
  const { digest, root, upstream, second } = await startWithKept(t, 2 * mebibyte)
  fs.writeFileSync(root + layout.partialFill(digest), bytes)

  t.ok((await second.pull(digest)).equals(bytes))
  t.same(rangesAsked(upstream), [`bytes=${4 * mebibyte - 1}-`])
})

t.test('Fill keeps what it has when the upstream gives up on it, and the next goes on', async t => {
  const upstream = await startFakeUpstream(t, { cutAfterBytes: 2 * mebibyte, cutTimes: 1 })
  const digest = upstream.addBlob(app, bytes)
  const { driver, pull } = await startFillProcess(t, { upstream })
  upstream.hold(mebibyte)
  const pulling = pull(digest)
  pulling.catch(() => {})
  await upstream.held()
  upstream.failNext({ status: 404, match: /^GET/ })
  upstream.release()

  await t.rejects(pulling, upstreamError('unknown'))
  t.same(await filesIn(driver), [partialOf(digest)])
  t.ok((await pull(digest)).equals(bytes))
  t.match(rangesAsked(upstream).at(-1), /^bytes=\d{7}-$/)
})

t.test('two processes that want to go on with the same fill do not get into each other’s way', async t => {
  const { upstream, digest, root, second } = await startWithKept(t, 2 * mebibyte)
  const third = await startFillProcess(t, { upstream, root })

  const received = await Promise.all([second.pull(digest), third.pull(digest)])

  t.ok(received.every(one => one.equals(bytes)))
  t.same(
    (await filesIn(second.driver)).filter(path => path.startsWith('/_fills')),
    [],
  )
})

t.test('what a killed process had got is found by the next, and gone on with', async t => {
  const upstream = await startFakeUpstream(t)
  const digest = upstream.addBlob(app, bytes)
  const [root, image] = [`${t.testdir({})}/a`, `${t.testdirName}/b`]
  const killed = await startFillProcess(t, { upstream, root })
  upstream.hold(3 * mebibyte)
  killed.pull(digest).catch(() => {})
  await until(() => killed.fills.find(digest)?.bytesStored === 3 * mebibyte)
  // What lies on the disk at this moment is all that a process that is killed leaves.
  fs.cpSync(root, image, { recursive: true, preserveTimestamps: true })
  upstream.release()
  await killed.fills.find(digest)?.settled
  upstream.requests.splice(0)

  const clock = new ManualClock(Date.now() + 9 * minuteMs)
  const next = await startFillProcess(t, { upstream, root: image, clock })
  t.same(await next.partials.tidy(), { abandoned: 0, removed: 0 }, 'another process may be writing it')
  clock.advance(2 * minuteMs)
  t.same(await next.partials.tidy({ isRunning: () => true }), { abandoned: 0, removed: 0 })
  t.same(await next.partials.tidy(), { abandoned: 1, removed: 0 })
  t.equal(next.partials.sizeBytes(), 3 * mebibyte)

  t.ok((await next.pull(digest)).equals(bytes))
  t.same(rangesAsked(upstream), [`bytes=${3 * mebibyte - 1}-`])
  t.equal(next.partials.sizeBytes(), 0)
})

t.test('Fill that has slept for so long that its file may be another’s does not write to it', async t => {
  const clock = new ManualClock()
  const upstream = await startFakeUpstream(t)
  const digest = upstream.addBlob(app, bytes)
  const { driver, fills, pull } = await startFillProcess(t, { upstream, clock })
  upstream.hold(2 * mebibyte)
  const pulling = pull(digest)
  pulling.catch(() => {})
  await until(() => fills.find(digest)?.bytesStored === 2 * mebibyte)

  clock.advance(9 * minuteMs)
  upstream.release()

  await t.rejects(pulling, /paused for 540000 ms/)
  t.same(await filesIn(driver), [])
})

t.test('Fill takes the rest from no URL that speaks of another size, but asks again', async t => {
  const clock = new ManualClock()
  const upstream = await startFakeUpstream(t, { cutAfterBytes: mebibyte, cutTimes: 1 })
  const laterUpstream = await startFakeUpstream(t, {
    alter: whole => Buffer.concat([whole, Buffer.from('x')]),
  })
  const digest = upstream.addBlob(app, bytes)
  laterUpstream.addBlob(app, bytes)
  const { events, pull } = await startFillProcess(t, { upstream, laterUpstream, clock })
  const pulling = pull(digest)

  await clock.slept()
  laterUpstream.behaviour.alter = undefined
  clock.advance(minuteMs)

  t.ok((await pulling).equals(bytes))
  t.equal(events.filter(({ kind }) => kind === 'fill-resumed').length, 1)
  await until(() => laterUpstream.openBodies === 0)
})

t.test('Fill fails, and keeps nothing, when nobody has a rest of its size', async t => {
  const clock = new ManualClock()
  const upstream = await startFakeUpstream(t, { cutAfterBytes: 2 * mebibyte, cutTimes: 1 })
  const laterUpstream = await startFakeUpstream(t, { alter: whole => whole.subarray(0, -1) })
  const digest = upstream.addBlob(app, bytes)
  laterUpstream.addBlob(app, bytes)
  const { driver, fills, pull } = await startFillProcess(t, { upstream, laterUpstream, clock })
  const pulling = pull(digest)
  pulling.catch(() => {})

  await until(() => {
    clock.advance(1000)
    return upstream.requests.length > 0 && fills.find(digest) === undefined
  })

  await t.rejects(pulling, upstreamError('invalid', { message: /has 4194303 bytes now, 4194304 before/ }))
  t.equal(laterUpstream.count(/^GET/), 5)
  t.same(await filesIn(driver), [])
  await until(() => laterUpstream.openBodies === 0)
})

t.test('Fills.list() tells operators how far each is', async t => {
  const clock = new ManualClock()
  const { upstream, digest, root } = await startWithKept(t, 2 * mebibyte)
  const { fills, join } = await startFillProcess(t, { upstream, root, clock })
  upstream.hold(mebibyte + 1)
  const fill = await join(digest)
  const reader = await fill.read()
  await until(() => fill.bytesStored === 3 * mebibyte)
  clock.advance(2_000)

  t.match(fills.list(), [
    {
      digest,
      repository: app,
      upstream: upstream.url.host,
      startedAtMs: clock.now() - 2_000,
      bytesStored: 3 * mebibyte,
      size: 4 * mebibyte,
      readers: 1,
      resumes: 1,
      bytesPerSecond: mebibyte / 2,
    },
  ])

  reader?.destroy()
  upstream.release()
  await fill.settled
  t.same(fills.list(), [])
})
