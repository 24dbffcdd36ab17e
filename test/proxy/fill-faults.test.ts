// Fills whose storage fails, or whose readers come and go at the wrong moment: nothing is lost, nothing stays behind.
import { buffer } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { BlobUnknownError } from '../../lib/oci/errors.ts'
import {
  app,
  content,
  filesBelow,
  mebibyte,
  openBytes,
  openDescriptorsBelow,
  pull,
  startMirror,
  until,
} from '../support/mirror.ts'
import { faultyDriver, type FaultyCall, type FaultyDriver } from '../support/faulty-driver.ts'

const ioError = new Error('input/output error')

async function startFaultyMirror(t: Test) {
  let faults: FaultyDriver | undefined
  const mirror = await startMirror(t, { wrapDriver: driver => (faults = faultyDriver(driver)).driver })
  if (faults === undefined) throw new Error('expected a wrapped driver')
  return { ...mirror, faults }
}

for (const call of ['openWriter', 'write'] as const satisfies readonly FaultyCall[]) {
  void t.test(
    `Fill errs in its readers and leaves nothing when ${call} fails, and is asked anew`,
    async t => {
      const mirror = await startFaultyMirror(t)
      const bytes = content(mebibyte)
      const digest = mirror.upstream.addBlob(app, bytes)
      mirror.faults.fail(call, ioError, { path: /\/_fills\// })

      await t.rejects(pull(mirror, digest), ioError)

      await until(() => openDescriptorsBelow(mirror.root) === 0 && mirror.upstream.openBodies === 0)
      t.same(filesBelow(mirror.root), [])
      t.ok((await pull(mirror, digest)).equals(bytes))
    },
  )
}

for (const call of ['commit', 'move'] as const satisfies readonly FaultyCall[]) {
  void t.test(
    `Fill gives its readers what is verified although ${call} fails, and keeps nothing`,
    async t => {
      const mirror = await startFaultyMirror(t)
      const bytes = content(mebibyte)
      const digest = mirror.upstream.addBlob(app, bytes)
      mirror.faults.fail(call, ioError, { path: /\/_fills\// })

      t.ok((await pull(mirror, digest)).equals(bytes))

      await until(() => mirror.fills.find(digest) === undefined && openDescriptorsBelow(mirror.root) === 0)
      t.same(filesBelow(mirror.root), [])
      t.ok((await pull(mirror, digest)).equals(bytes))
    },
  )
}

t.test('Fill errs with what happened first, not with the failure of clearing up after it', async t => {
  const mirror = await startFaultyMirror(t)
  const digest = mirror.upstream.addBlob(app, content(mebibyte))
  mirror.faults.fail('write', ioError, { path: /\/_fills\// })
  mirror.faults.fail('cancel', new Error('cannot cancel'))
  mirror.faults.fail('remove', new Error('cannot remove'), { path: /\/_fills\// })

  await t.rejects(pull(mirror, digest), ioError)
})

t.test('Fill of a blob that is stored does not fail because clearing up after it does', async t => {
  const mirror = await startFaultyMirror(t)
  const bytes = content(mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  mirror.faults.fail('remove', ioError, { path: /\/_fills\//, times: 10 })

  t.ok((await pull(mirror, digest)).equals(bytes))
  t.match(await mirror.local.repository(app).blobs.stat(digest), { size: mebibyte })
})

t.test('Fill.settled does not reject when the writer cannot be released', async t => {
  const mirror = await startFaultyMirror(t)
  const bytes = content(mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  mirror.faults.fail('release', ioError, { times: 10 })

  t.ok((await pull(mirror, digest)).equals(bytes))
  await until(() => mirror.fills.find(digest) === undefined)
  t.ok(mirror.logLines.some(line => line.includes('cannot release')))
})

t.test('Fill whose link cannot be written still gives out the blob', async t => {
  const mirror = await startFaultyMirror(t)
  const bytes = content(mebibyte)
  const digest = mirror.upstream.addBlob(app, bytes)
  mirror.faults.fail('writeAll', ioError, { path: /\/_layers\// })

  t.ok((await pull(mirror, digest)).equals(bytes))
  await t.rejects(mirror.local.repository(app).blobs.stat(digest), BlobUnknownError)
  t.ok((await pull(mirror, digest)).equals(bytes), 'the next request links it')
  t.match(await mirror.local.repository(app).blobs.stat(digest), { size: mebibyte })
})

t.test('Fill.read() rejects with the reason of a signal that was aborted since open()', async t => {
  const mirror = await startFaultyMirror(t)
  const digest = mirror.upstream.addBlob(app, content(2 * mebibyte))
  mirror.upstream.hold(mebibyte)
  const body = await openBytes(mirror, digest)
  await mirror.upstream.held()

  await t.rejects(body.read(undefined, { signal: AbortSignal.abort(new Error('gone')) }), { message: 'gone' })

  mirror.upstream.release()
  await mirror.fills.find(digest)?.settled
  await until(() => openDescriptorsBelow(mirror.root) === 0)
})

t.test('Fills.find() knows no fill that has settled: whoever asks after its failure starts anew', async t => {
  const mirror = await startFaultyMirror(t)
  const bytes = content(1000)
  const digest = mirror.upstream.addBlob(app, bytes)
  mirror.upstream.failNext({ status: 404 })

  const again = await mirror.repository.blobs.open(digest).catch(() => openBytes(mirror, digest))

  t.equal(again.kind, 'bytes')
  if (again.kind === 'bytes') t.ok((await buffer(await again.read())).equals(bytes))
})

t.test('Fill links a repository that claims it at the very end before it settles', async t => {
  const mirror = await startFaultyMirror(t)
  const digest = mirror.upstream.addBlob(app, content(mebibyte))
  const clearing = mirror.faults.pause('remove', { path: /\/_fills\// })
  const pulling = pull(mirror, digest)
  await clearing.reached
  let isLinked = false
  const fill = mirror.fills.find(digest)
  fill?.claim({
    name: 'team/late' as typeof app,
    async link() {
      await new Promise(setImmediate)
      isLinked = true
    },
  })

  clearing.resume()
  await pulling

  t.ok(isLinked)
})
