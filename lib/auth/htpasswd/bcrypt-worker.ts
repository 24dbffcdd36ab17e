// What runs in a thread of its own: compares passwords with bcrypt hashes, one question at a time. In the
// built program the thread starts with bin/bcrypt-worker.ts, which has it come here.
import { parentPort, type MessagePort } from 'node:worker_threads'
import { bcryptVerify } from 'hash-wasm'

export interface Question {
  /** 1 to 72 bytes. */
  readonly password: Uint8Array
  readonly hash: string
}

/** Answers each question with a boolean, until the thread is ended. */
export function answerQuestions(): void {
  if (parentPort !== null) answerOn(parentPort, bcryptVerify)
}

/** Uses nothing but its arguments: from source, its text is all that a thread is given; see bcrypt-threads.ts. */
export function answerOn(port: MessagePort, verify: typeof bcryptVerify): void {
  port.on('message', (question: Question) => {
    verify(question).then(
      matches => port.postMessage(matches),
      () => port.postMessage(false),
    )
  })
}
