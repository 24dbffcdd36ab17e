import t from 'tap'
import { createLogger } from '../../lib/log.ts'
import type { Warmer } from '../../lib/proxy/warm.ts'
import { parseWarmRequest } from '../../lib/proxy/warm-request.ts'
import { startWarming } from '../../lib/proxy/warm-schedule.ts'
import { digestOf } from '../../lib/oci/digest.ts'
import { formatImageReference } from '../../lib/oci/image-reference.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { until } from '../support/until.ts'

const minuteMs = 60_000
const task = (image: string, minutes: number) => ({
  ...parseWarmRequest({ images: [image], platforms: [], referrers: false }),
  intervalMs: minutes * minuteMs,
})

function begin(warm: Warmer['warm'], tasks = [task('a:v1', 10), task('b:v1', 25)]) {
  const clock = new ManualClock()
  const lines: string[] = []
  const logger = createLogger({
    level: 'info',
    formatter: 'json',
    fields: {},
    write: line => {
      const { level, msg, image } = JSON.parse(line) as Readonly<Record<string, string>>
      lines.push(`${level} ${msg} ${image}`)
    },
  })
  return { clock, lines, schedule: startWarming(tasks, { warmer: { warm }, clock, logger }) }
}

/** A warmer to which every image is there already; it says which were asked for. */
function instant() {
  const warmed: string[] = []
  async function* warm({ images }: Parameters<Warmer['warm']>[0]) {
    for (const image of images.map(formatImageReference)) {
      warmed.push(image)
      const digest = digestOf(Buffer.from(image))
      yield { kind: 'done', image, digest, fetchedBytes: 0, presentBytes: 1, elapsedMs: 1 } as const
    }
  }
  return { warmed, warm }
}

t.test('startWarming() goes on after a run that failed, and says so', async t => {
  let runs = 0
  const { clock, lines, schedule } = begin(
    async function* () {
      if (++runs === 1) throw new Error('disk on fire')
      yield { kind: 'failed', image: 'a:v1', message: 'upstream on fire' }
    },
    [task('a:v1', 10)],
  )
  await clock.slept()
  clock.advance(10 * minuteMs)
  await until(() => runs === 2 && clock.sleeping === 1)
  await schedule.stop()

  t.same(lines, ['error cannot warm images undefined', 'warning cannot warm image a:v1'])
})

t.test('startWarming() warms every list at once, and each again after its own interval', async t => {
  const { warmed, warm } = instant()
  const { clock, lines, schedule } = begin(warm)
  await clock.slept()
  t.same(warmed, ['a:v1', 'b:v1'])
  t.same(lines, ['info image is warm a:v1', 'info image is warm b:v1'])

  for (let minute = 0; minute < 30; minute += 5) {
    clock.advance(5 * minuteMs)
    await until(() => clock.sleeping === 1)
  }
  await schedule.stop()

  t.same(warmed.slice(2), ['a:v1', 'a:v1', 'b:v1', 'a:v1'])
  t.equal(clock.sleeping, 0)
})

t.test('startWarming() sleeps no longer than an interval where the clock is set back', async () => {
  const { warmed, warm } = instant()
  const { clock, schedule } = begin(warm, [task('a:v1', 10)])
  await clock.slept()
  clock.advance(10 * minuteMs)
  await until(() => warmed.length === 2 && clock.sleeping === 1)
  clock.advance(-1000 * minuteMs)
  clock.advance(1000 * minuteMs)
  clock.advance(10 * minuteMs)

  await until(() => warmed.length === 3)
  await schedule.stop()
})

t.test('WarmSchedule.stop() aborts the run under way and waits until it has ended', async t => {
  let hasEnded = false
  const { clock, schedule } = begin(async function* (_, { signal } = {}) {
    yield { kind: 'started', image: 'a:v1' }
    await new Promise<void>(resolve => signal?.addEventListener('abort', () => resolve()))
    hasEnded = true
    signal?.throwIfAborted()
  })
  await new Promise(setImmediate)
  await schedule.stop()

  t.ok(hasEnded)
  t.equal(clock.sleeping, 0)
  await schedule.stop()
})

t.test('startWarming() without images does nothing', async t => {
  const { clock, schedule } = begin(instant().warm, [])
  await schedule.stop()

  t.equal(clock.sleeping, 0)
})
