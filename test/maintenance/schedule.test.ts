import t from 'tap'
import { createLogger } from '../../lib/log.ts'
import { startSchedule, type ScheduleOptions } from '../../lib/maintenance/schedule.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { hold } from '../support/stores.ts'
import { until } from '../support/until.ts'

const minuteMs = 60_000

function begin(run: ScheduleOptions['run']) {
  const clock = new ManualClock()
  const lines: string[] = []
  const logger = createLogger({
    level: 'info',
    formatter: 'json',
    fields: {},
    write: line => lines.push((JSON.parse(line) as { readonly msg: string }).msg),
  })
  const jitter = () => 54.7 / 60
  const schedule = startSchedule({ name: 'a task', intervalMs: 1440 * minuteMs, clock, logger, run, jitter })
  return { clock, lines, schedule }
}

t.test('startSchedule() runs first after a delay of whole minutes, then after each interval', async t => {
  let runs = 0
  const { clock, lines, schedule } = begin(async () => void runs++)
  await clock.slept()
  t.same(lines, ['Starting a task in 54m0s'])

  clock.advance(54 * minuteMs - 1)
  t.equal(clock.sleeping, 1)
  clock.advance(1)
  await until(() => runs === 1 && clock.sleeping === 1)
  t.same(lines.slice(1), ['Starting a task in 24h0m0s'])
  clock.advance(1440 * minuteMs)
  await until(() => runs === 2 && clock.sleeping === 1)

  await schedule.stop()
  t.equal(clock.sleeping, 0)
})

t.test('startSchedule() goes on after a run that failed, and says so', async t => {
  let runs = 0
  const { clock, lines, schedule } = begin(async () => {
    runs++
    throw new Error('disk on fire')
  })
  await clock.slept()

  clock.advance(54 * minuteMs)
  await until(() => clock.sleeping === 1)
  clock.advance(1440 * minuteMs)
  await until(() => runs === 2 && clock.sleeping === 1)

  t.same(lines.slice(1, 3), ['cannot complete a task', 'Starting a task in 24h0m0s'])
  await schedule.stop()
})

t.test('Schedule.stop() aborts the run under way and waits until it has ended', async t => {
  const { released, release } = hold()
  let aborted: AbortSignal | undefined
  let hasStopped = false
  const { clock, schedule } = begin(async ({ signal }) => {
    aborted = signal
    await released
    signal.throwIfAborted()
  })
  await clock.slept()
  clock.advance(54 * minuteMs)
  await until(() => aborted !== undefined)

  const stopping = schedule.stop().then(() => (hasStopped = true))
  t.ok(aborted?.aborted)
  await new Promise(setImmediate)
  t.notOk(hasStopped)
  release()
  await stopping

  await schedule.stop()
  t.equal(clock.sleeping, 0)
})
