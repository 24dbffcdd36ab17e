// Inputs that nobody means: valid ones bent in places, and noise. Everything follows from one seed, which a failure
// tells; FUZZ_SEED in the environment repeats a run.
import type { Test } from 'tap'
import { RegistryError } from '../../lib/oci/errors.ts'

/** What parsers trip over: ends of their grammars, of numbers, of encodings. */
const snippets = [
  ...['', ' ', '\t', '\r\n', '\0', '/', '//', '..', '/../', '.', '-', '--', '_', '__', ':', '::', '@', '+', '*'],
  ...['"', '\\', '\\"', "'", ',', ', ,', ';', '=', '==', '%', '%2F', '%2f..', '%00', '%zz', '%ff', '#', '?', '&'],
  ...['0', '-1', '-0', '1e9', '9'.repeat(16), '9'.repeat(400), '0x10', 'NaN', 'null', 'true', '{}', '[]', '[', '{"'],
  ...['é', 'ß', '\u00a0', '\u2028', '\ufeff', '\ud800', '😀', 'A', 'z', 'W/', 'bytes=', 'sha256:', 'sha512:', 'http://'],
  ...['__proto__', 'constructor', 'toString', 'a'.repeat(300), '((((((((', ',,,,,,,,', '        '],
] // prettier-ignore

export class RandomInputs {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** At least 0, below 1: mulberry32, a public domain generator. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    return Math.floor(this.next() * limit)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(list: readonly T[]): T {
    const found = list[this.below(list.length)]
    if (found === undefined) throw new RangeError('Cannot pick: the list is empty')
    return found
  }

  /** One of the samples as it is, bent up to four times, or noise. */
  text(samples: readonly string[]): string {
    if (this.chance(0.05)) return this.noise()
    let text = this.pick(samples)
    for (let bends = this.below(5); bends > 0; bends--) text = this.#bend(text, samples)
    return text
  }

  noise(): string {
    let text = ''
    for (let pieces = this.below(20); pieces > 0; pieces--) {
      text += this.chance(0.4) ? this.pick(snippets) : String.fromCharCode(this.below(256))
    }
    return text
  }

  #bend(text: string, samples: readonly string[]): string {
    const from = this.below(text.length + 1)
    const to = from + this.below(Math.min(20, text.length - from) + 1)
    const [before, between, after] = [text.slice(0, from), text.slice(from, to), text.slice(to)]
    switch (this.below(7)) {
      case 0:
        return before + this.pick(snippets) + between + after
      case 1:
        return before + this.pick(snippets) + after
      case 2:
        return before + after
      case 3:
        return before + between.repeat(this.chance(0.02) ? 500 : 2) + after
      case 4:
        return before
      case 5:
        return before + this.pick(samples).slice(from)
      default:
        return before + (this.chance(0.5) ? between.toUpperCase() : between.toLowerCase()) + after
    }
  }
}

export interface Fuzzing<T> {
  readonly make: (random: RandomInputs) => T
  /** Throws, other than RegistryError, if something is wrong. */
  readonly call: (input: T) => void
  /** Default 100,000. */
  readonly runs?: number
}

/** Far more than any call takes, and far less than what grows faster than its input. */
const maxCallMs = 100

/** Calls with random inputs: the only error there may be is RegistryError, and no call may take long. */
export function fuzz<T>(t: Test, name: string, { make, call, runs = 100_000 }: Fuzzing<T>): void {
  t.test(name, async t => {
    const seed = chooseSeed()
    const random = new RandomInputs(seed)
    t.comment(`FUZZ_SEED=${seed}`)
    // Stacks are half the cost of an error, and most of these errors are expected.
    const { stackTraceLimit } = Error
    for (let run = 0; run < runs; run++) {
      const input = make(random)
      Error.stackTraceLimit = 0
      const isFine = attempt(call, input) === undefined
      Error.stackTraceLimit = stackTraceLimit
      if (isFine) continue
      const failure = attempt(call, input) ?? 'once, but not again'
      return void t.fail(`FUZZ_SEED=${seed}, run ${run}: ${failure}`, { input: JSON.stringify(input) })
    }
    t.pass(`${runs} inputs`)
  })
}

export function chooseSeed(): number {
  return Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
}

function attempt<T>(call: (input: T) => void, input: T): string | undefined {
  for (let tries = 1; ; tries++) {
    const startedAtMs = performance.now()
    try {
      call(input)
    } catch (err) {
      if (!(err instanceof RegistryError))
        return err instanceof Error ? (err.stack ?? err.message) : 'no Error'
    }
    const tookMs = performance.now() - startedAtMs
    if (tookMs <= maxCallMs) return undefined
    // The machine may have been busy: only what is slow each time is.
    if (tries === 3) return `took ${tookMs} ms`
  }
}
