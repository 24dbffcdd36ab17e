// A few threads that compare passwords with bcrypt hashes, which takes 50 ms and more each: on the main thread every
// other request would wait for it. Threads start when there is work; who asks while too many wait is refused.
// Not createRequire by name: the built program has one already.
import nodeModule from 'node:module'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { TooManyAttemptsError } from '../access-controller.ts'
import { answerOn, type Question } from './bcrypt-worker.ts'

interface Waiting {
  readonly question: Question
  readonly resolve: (matches: boolean) => void
  readonly reject: (reason: unknown) => void
}

interface Thread {
  readonly worker: Worker
  current: Waiting | undefined
}

const maxThreads = 4
const maxWaiting = 256
const retryAfterMs = 2000

export class BcryptThreads {
  readonly #limit = Math.max(1, Math.min(maxThreads, availableParallelism()))
  readonly #threads = new Set<Thread>()
  readonly #waiting: Waiting[] = []
  #isClosed = false

  /** Whether the password is the hash's. TooManyAttemptsError. */
  async matches(question: Question): Promise<boolean> {
    if (this.#isClosed) throw new Error('Cannot compare password: closed')
    if (this.#waiting.length >= maxWaiting)
      throw new TooManyAttemptsError(retryAfterMs, 'too many logins at once')
    return await new Promise<boolean>((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject })
      this.#assign()
    })
  }

  /** Whoever still waits is refused. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('Cannot compare password: closed'))
    await Promise.all([...this.#threads].map(({ worker }) => worker.terminate()))
  }

  #assign(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#idle()
      if (thread === undefined) return
      thread.current = this.#waiting.shift()
      thread.worker.ref()
      thread.worker.postMessage(thread.current?.question)
    }
  }

  #idle(): Thread | undefined {
    const idle = [...this.#threads].find(({ current }) => current === undefined)
    return idle ?? (this.#threads.size < this.#limit ? this.#start() : undefined)
  }

  #start(): Thread {
    const worker = startWorker()
    const thread: Thread = { worker, current: undefined }
    this.#threads.add(thread)
    worker.on('message', (matches: boolean) => {
      thread.current?.resolve(matches)
      thread.current = undefined
      worker.unref()
      this.#assign()
    })
    worker.on('error', err => this.#lose(thread, err))
    worker.on('exit', () => this.#lose(thread, new Error('Cannot compare password: the thread ended')))
    return thread
  }

  #lose(thread: Thread, reason: unknown): void {
    if (!this.#threads.delete(thread)) return
    thread.current?.reject(reason)
    thread.current = undefined
    if (!this.#isClosed) this.#assign()
  }
}

/** The built program has a file for its threads beside the others. Source would have to be compiled for each. */
function startWorker(): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('bcrypt-worker.mjs', import.meta.url))
  const library = JSON.stringify(nodeModule.createRequire(import.meta.url).resolve('hash-wasm'))
  const port = `require('node:worker_threads').parentPort`
  return new Worker(`(${answerOn.toString()})(${port}, require(${library}).bcryptVerify)`, {
    eval: true,
    execArgv: [],
  })
}
