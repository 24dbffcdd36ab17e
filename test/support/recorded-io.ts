// The surroundings of a command under test: what it writes is recorded, and the test sends the signals.
import { EventEmitter, once } from 'node:events'
import { Readable } from 'node:stream'
import type { Io, StopSignal } from '../../lib/cli/io.ts'

export interface RecordedIoOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
}

export class RecordedIo implements Io {
  readonly env: Readonly<Record<string, string>>
  readonly stdin: Readable
  readonly written = { stdout: '', stderr: '', log: '' }
  readonly stdout = { write: (text: string) => this.#record('stdout', text) }
  readonly stderr = { write: (text: string) => this.#record('stderr', text) }
  readonly writeLog = (line: string): void => this.#record('log', line)
  readonly writeAccessLog = (line: string): void => this.#record('stdout', line)
  readonly #events = new EventEmitter()

  constructor({ env = {}, stdin = '' }: RecordedIoOptions = {}) {
    this.env = env
    this.stdin = Readable.from([Buffer.from(stdin)])
  }

  onSignal(listener: (signal: StopSignal) => void): () => void {
    this.#events.on('signal', listener)
    return () => this.#events.off('signal', listener)
  }

  send(signal: StopSignal): void {
    this.#events.emit('signal', signal)
  }

  get listensForSignals(): boolean {
    return this.#events.listenerCount('signal') > 0
  }

  /** Waits until the log has a line that matches, and returns the match. */
  async logged(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.written.log)
      if (match !== null) return match
      await once(this.#events, 'log')
    }
  }

  #record(stream: 'stdout' | 'stderr' | 'log', text: string): void {
    this.written[stream] += text
    this.#events.emit(stream)
  }
}
