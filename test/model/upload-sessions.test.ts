// One upload session and many clients that send to it at once, at two registries over one directory: each byte that was
// acknowledged is in the blob exactly once, and what does not go where the session stands is refused.
import { deepStrictEqual, ok } from 'node:assert/strict'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { driverKinds } from '../support/stores.ts'
import { codesOf, expectStatus, locationOf, type Answer } from './answers.ts'
import type { RegistryClient } from './registry-client.ts'
import { parameters, withRegistry } from './start-registry.ts'
import { contentOf } from './world.ts'

type Request =
  | { readonly do: 'append'; readonly size: number; readonly form: 'range' | 'plain' | 'chunked' }
  | { readonly do: 'append beside'; readonly by: number }
  | { readonly do: 'append with an old location' | 'ask' | 'complete wrongly' | 'cancel' }
  | { readonly do: 'complete'; readonly size: number }

/** All requests of a round are sent at once; rounds follow each other. */
interface Round {
  readonly registry: 0 | 1
  readonly requests: readonly Request[]
}

const size = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 40 }) }, fc.constant(100_000))
const anyRequest: fc.Arbitrary<Request> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      size,
      form: fc.constantFrom('range' as const, 'plain' as const, 'chunked' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('append beside' as const), by: fc.constantFrom(1, -1, 100) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'append with an old location' as const,
        'ask' as const,
        'complete wrongly' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('complete' as const), size }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const) }) },
)
const anyRounds: fc.Arbitrary<readonly Round[]> = fc.array(
  fc.record({
    registry: fc.constantFrom(0 as const, 1 as const),
    requests: fc.array(anyRequest, { minLength: 1, maxLength: 8, size: 'max' }),
  }),
  { maxLength: 8, size: 'max' },
)

for (const kind of driverKinds) {
  t.test(`an upload session takes each byte once, however many send to it at once (${kind})`, async t => {
    const root = t.testdir({})
    let run = 0
    await withRegistry(kind, root, one => withRegistry(kind, root, two => check(one, two)))
    t.pass()

    async function check(one: RegistryClient, two: RegistryClient): Promise<void> {
      // What is in memory cannot be shared by two.
      const registries = [one, kind === 'inmemory' ? one : two] as const
      const property = fc.asyncProperty(anyRounds, async rounds => {
        const session = await Session.start(one, `uploads/run-${++run}`)
        for (const { registry, requests } of rounds) await session.round(registries[registry], requests)
        await session.finish(two === registries[1] ? two : one)
      })
      await fc.assert(property, parameters(40))
    }
  })
}

/** The session as its clients know it: the bytes it has acknowledged and where to send the next. */
class Session {
  readonly #repository: string
  #location: string
  #oldLocation: string | undefined
  #bytes = Buffer.alloc(0)
  #isOpen = true
  #bodies = 0

  private constructor(repository: string, location: string) {
    this.#repository = repository
    this.#location = location
  }

  static async start(registry: RegistryClient, repository: string): Promise<Session> {
    const answer = await registry.request('POST', `/v2/${repository}/blobs/uploads/`)
    return new Session(repository, locationOf(answer, 202))
  }

  async round(registry: RegistryClient, requests: readonly Request[]): Promise<void> {
    const wasOpen = this.#isOpen
    const sent = requests.map(request => ({ request, body: this.#bodyOf(request) }))
    const answers = await Promise.all(
      sent.map(async ({ request, body }) => ({
        request,
        body,
        answer: await this.#send(registry, request, body),
      })),
    )
    const succeeded = (what: Request['do'], status: number) =>
      answers.filter(({ request, answer }) => request.do === what && answer.status === status)
    const appends = succeeded('append', 202)
    const completes = succeeded('complete', 201)
    const cancels = succeeded('cancel', 204)
    const isEnded = completes.length + cancels.length > 0
    const summary = answers.map(({ request, answer }) => `${request.do}: ${answer.status}`).join(', ')

    ok(wasOpen || appends.length + completes.length + cancels.length === 0, `after its end: ${summary}`)
    ok(appends.length + completes.length <= 1, `one place was taken more than once: ${summary}`)
    const mayWin = requests.some(
      ({ do: what }) => what === 'append' || what === 'complete' || what === 'cancel',
    )
    ok(!wasOpen || !mayWin || appends.length > 0 || isEnded, `nobody won: ${summary}`)
    for (const { request, answer } of answers) refusedRightly(request, answer, !wasOpen || isEnded)

    const acknowledged = [...appends, ...completes].map(({ body }) => body)
    this.#bytes = Buffer.concat([this.#bytes, ...acknowledged])
    this.#isOpen = wasOpen && !isEnded
    if (completes.length > 0) await this.#expectBlob(registry)
    await this.#lookAt(registry)
  }

  /** Makes a blob of what was acknowledged, if the session is still open. */
  async finish(registry: RegistryClient): Promise<void> {
    if (!this.#isOpen) return
    const { digest } = contentOf(this.#bytes)
    expectStatus(await registry.request('PUT', `${this.#location}&digest=${digest}`), 201)
    this.#isOpen = false
    await this.#expectBlob(registry)
    await this.#lookAt(registry)
  }

  /** Bytes that no other request has. */
  #bodyOf(request: Request): Buffer {
    const bytes = 'size' in request ? request.size : 10
    const mark = `<${++this.#bodies}>`
    return Buffer.from(mark.repeat(Math.ceil(bytes / mark.length)).slice(0, bytes))
  }

  #send(registry: RegistryClient, request: Request, body: Buffer): Promise<Answer> {
    const location = this.#location
    const offset = this.#bytes.length
    switch (request.do) {
      case 'append': {
        const range = request.form === 'range' ? rangeOf(offset, body) : {}
        return registry.request('PATCH', location, request.form === 'chunked' ? inChunks(body) : body, range)
      }
      case 'append beside': {
        const start = offset + request.by < 0 ? offset + 1 : offset + request.by
        return registry.request('PATCH', location, body, rangeOf(start, body))
      }
      case 'append with an old location':
        // Before there is an old one: a location without its state.
        return registry.request('PATCH', this.#oldLocation ?? withoutQuery(location), body)
      case 'ask':
        return registry.request('GET', location)
      case 'complete': {
        const { digest } = contentOf(Buffer.concat([this.#bytes, body]))
        return registry.request('PUT', `${location}&digest=${digest}`, body)
      }
      case 'complete wrongly':
        return registry.request('PUT', `${location}&digest=${contentOf('not this').digest}`)
      case 'cancel':
        return registry.request('DELETE', location)
      default:
        return request satisfies never
    }
  }

  /** Asks the session how far it has got; its old location is one of a place that it has left. */
  async #lookAt(registry: RegistryClient): Promise<void> {
    const answer = await registry.request('GET', this.#location)
    if (!this.#isOpen) {
      expectStatus(answer, 404)
      return deepStrictEqual(codesOf(answer), ['BLOB_UPLOAD_UNKNOWN'])
    }
    const before = this.#location
    this.#location = locationOf(answer, 204)
    deepStrictEqual(answer.headers['range'], `0-${Math.max(0, this.#bytes.length - 1)}`)
    if (this.#bytes.length > 0 && this.#oldLocation === undefined) this.#oldLocation = before
  }

  async #expectBlob(registry: RegistryClient): Promise<void> {
    const { digest } = contentOf(this.#bytes)
    const answer = await registry.request('GET', `/v2/${this.#repository}/blobs/${digest}`)
    expectStatus(answer, 200)
    ok(answer.bytes.equals(this.#bytes), 'the blob has other bytes than were acknowledged')
  }
}

/** Whether an answer is one that this request may get; `isGone` if the session was, or was being, ended. */
function refusedRightly(request: Request, answer: Answer, isGone: boolean): void {
  const { status } = answer
  const found = `${request.do} was answered ${status} ${answer.bytes.toString()}`
  if (status < 300) return ok(request.do !== 'append beside' && !/wrong|old/.test(request.do), found)
  const [code = ''] = codesOf(answer)
  const allowed = ['RANGE_INVALID']
  if (isGone) allowed.push('BLOB_UPLOAD_UNKNOWN')
  if (request.do === 'complete wrongly') allowed.push('DIGEST_INVALID')
  if (request.do === 'append with an old location') allowed.push('BLOB_UPLOAD_INVALID')
  ok(allowed.includes(code), found)
  if (code === 'RANGE_INVALID') {
    ok(status === 416 && answer.headers['location'] !== undefined, found)
    ok(/^0-\d+$/.test(String(answer.headers['range'])), found)
  }
}

function rangeOf(start: number, { length }: Buffer) {
  return { 'Content-Range': `${start}-${start + length - 1}` }
}

function withoutQuery(location: string): string {
  return location.replace(/\?.*/, '')
}

function inChunks(body: Buffer): Readable {
  const half = Math.ceil(body.length / 2)
  return Readable.from([body.subarray(0, half), body.subarray(half)].filter(({ length }) => length > 0))
}
