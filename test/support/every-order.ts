// Runs work that happens at once in the orders that its storage calls can come in. One call at a time goes on; which
// one, of those that wait, differs from run to run. A run may be cut off after any of its calls, as by a crash.
import { setImmediate as turn } from 'node:timers/promises'
import type { DriverCall } from './stores.ts'

/** For the driver's hook: waits until it is this call's turn. */
export type Step = (call: DriverCall) => Promise<void>

export interface Scenario {
  /** Each begins when it is its turn. */
  readonly tasks: Readonly<Record<string, () => Promise<unknown>>>
  /** Looks at what came of it; `done` are the tasks that succeeded. */
  check(done: ReadonlySet<string>, trace: readonly string[]): Promise<void>
}

export type Prepare = (step: Step) => Promise<Scenario>

/** Every order there is; returns how many. For work of few calls. */
export async function inEveryOrder(prepare: Prepare): Promise<number> {
  let runs = 0
  for (let choices: number[] | undefined = []; choices !== undefined; runs++) {
    const given: readonly number[] = choices
    const { options } = await play(prepare, { choose: at => given[at] ?? 0 })
    choices = next(given, options)
  }
  return runs
}

/** So many orders by chance, the same ones each time; each is also cut off at a call by chance. */
export async function inSomeOrders(prepare: Prepare, runs: number): Promise<void> {
  let state = 1
  const random = (below: number) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
  for (let run = 0; run < runs; run++) {
    const seed = state
    const { steps } = await play(prepare, { choose: (_, count) => random(count) })
    state = seed
    await play(prepare, { choose: (_, count) => random(count), end: (run * 7) % steps })
  }
}

interface Play {
  /** Which of `count` calls goes on, at the so-manieth choice of the run. */
  choose(at: number, count: number): number
  /** After how many calls it is cut off; undefined: it is not. */
  readonly end?: number
}

async function play(prepare: Prepare, { choose, end = Infinity }: Play) {
  const waiting: { readonly label: string; readonly go: () => void; readonly die: (err: Error) => void }[] =
    []
  const trace: string[] = []
  const options: number[] = []
  let isRunning = false
  let [steps, running] = [0, 0]
  const step = async (label: string) => {
    if (isRunning) await new Promise<void>((go, die) => void waiting.push({ label, go, die }))
  }
  const { tasks, check } = await prepare(async ({ action, path, when }) => {
    if (when === 'before') await step(`${action} ${path}`)
  })
  isRunning = true
  const done = new Set<string>()
  for (const [name, task] of Object.entries(tasks)) {
    running++
    void step(`start ${name}`)
      .then(task)
      .then(
        () => void done.add(name),
        (err: unknown) => void trace.push(`${name}: ${String(err)}`),
      )
      .finally(() => running--)
  }
  for (; running > 0; await turn()) {
    if (steps >= end) {
      for (const { die } of waiting.splice(0)) die(new Error('crashed'))
      continue
    }
    if (waiting.length === 0) continue
    const choice = waiting.length === 1 ? 0 : choose(options.length, waiting.length)
    if (waiting.length > 1) options.push(waiting.length)
    const [chosen] = waiting.splice(choice, 1)
    steps++
    trace.push(chosen?.label ?? '')
    chosen?.go()
  }
  isRunning = false
  await check(done, trace)
  return { options, steps }
}

/** The choices of the run after that; undefined if it was the last. */
function next(choices: readonly number[], options: readonly number[]): number[] | undefined {
  for (let at = options.length - 1; at >= 0; at--) {
    const choice = choices[at] ?? 0
    if (choice + 1 < (options[at] ?? 0)) {
      return [...Array.from({ length: at }, (_, index) => choices[index] ?? 0), choice + 1]
    }
  }
  return undefined
}
