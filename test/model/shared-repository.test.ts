// Up to eight clients at once in one repository: every answer, and all that can be seen during and afterwards, must be
// explained by some order of what they did. At rest nothing may contradict itself either.
import { ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { driverKinds } from '../support/stores.ts'
import { History, type Span, type Value } from './history.ts'
import type { RegistryClient } from './registry-client.ts'
import type { Outcome, Step } from './repository-model.ts'
import { parameters, withRegistry } from './start-registry.ts'
import { anyHotStep, anyStep } from './steps.ts'
import { at, blobs, manifests, subjects, tags, type WorldManifest } from './world.ts'

type Look = { readonly do: 'look at tags' } | { readonly do: 'look at referrers'; readonly subject: number }

const shared = 'shared/app'
const base = 'base/image'

const anyLook: fc.Arbitrary<Look> = fc.oneof(
  fc.record({ do: fc.constant('look at tags' as const) }),
  fc.record({ do: fc.constant('look at referrers' as const), subject: fc.nat(subjects.length - 1) }),
)
const anyCase = fc.boolean().chain(isHot => {
  const step = isHot ? anyHotStep : anyStep([base])
  const program = fc.array(fc.oneof({ weight: 5, arbitrary: step }, { weight: 2, arbitrary: anyLook }), {
    maxLength: 12,
    size: 'max',
  })
  const round = fc.array(program, { minLength: 2, maxLength: 8, size: 'max' })
  const rounds = fc.array(round, { minLength: 1, maxLength: 3 })
  return fc.record({ rounds, isFull: isHot ? fc.constant(true) : fc.boolean() })
})

for (const kind of driverKinds) {
  t.test(`what clients see of a repository they share is explained by what they did (${kind})`, async t => {
    const root = t.testdir({})
    let run = 0
    const property = fc.asyncProperty(anyCase, ({ rounds, isFull }) =>
      withRegistry(kind, `${root}/${++run}`, async registry => {
        const observer = new Observer(registry)
        for (const blob of blobs.keys()) {
          await registry.perform(base, { do: 'push blob', blob, way: 'post' })
          if (isFull) await observer.perform({ do: 'push blob', blob, way: 'post' })
        }
        for (const programs of rounds) {
          await Promise.all(programs.map(program => observer.run(program)))
          await observer.lookAtEverything()
        }
      }),
    )

    await fc.assert(property, parameters(10))

    t.pass()
  })
}

/** Sends requests to the shared repository and holds every answer against the history of all. */
class Observer {
  readonly #registry: RegistryClient
  readonly #history = new History()
  /** Run when everybody is done: before that, the history lacks what is still under way. */
  readonly #checks: (() => void)[] = []

  constructor(registry: RegistryClient) {
    this.#registry = registry
  }

  async run(program: readonly (Step | Look)[]): Promise<void> {
    for (const step of program) {
      if (step.do === 'look at tags') await this.#lookAtTags()
      else if (step.do === 'look at referrers') await this.#lookAtReferrers(at(subjects, step.subject))
      else await this.perform(step)
    }
  }

  async perform(step: Step): Promise<void> {
    const { result, span } = await this.#history.during(() => this.#registry.perform(shared, step))
    switch (step.do) {
      case 'push blob':
      case 'mount blob':
        ok(result.answer === 'done', `${JSON.stringify(step)} was answered ${result.answer}`)
        return this.#history.changed(at(blobs, step.blob).digest, span, 'held')
      case 'delete blob':
        return this.#removed(at(blobs, step.blob).digest, span, result)
      case 'push manifest':
        return this.#pushed(at(manifests, step.manifest), step.tag, span, result)
      case 'delete manifest': {
        const { digest } = at(manifests, step.manifest)
        this.#removed(digest, span, result)
        if (result.answer !== 'done') return
        for (const tag of tags) this.#history.changedFrom(tag, span, digest, 'absent')
        return
      }
      case 'delete tag':
        return this.#removed(at(tags, step.tag), span, result)
      default:
        return step satisfies never
    }
  }

  /** When nobody else is at it. */
  async lookAtEverything(): Promise<void> {
    for (const check of this.#checks.splice(0)) check()
    const { result: view, span } = await this.#history.during(() => this.#registry.view(shared))
    for (const { digest } of blobs) this.#expect(digest, span, heldIf(view.blobs.includes(digest)))
    for (const { digest } of manifests) this.#expect(digest, span, heldIf(view.manifests.includes(digest)))
    for (const tag of tags) this.#expect(tag, span, view.tags[tag] ?? 'absent')
    for (const subject of subjects) {
      const listed = (view.referrers[subject] ?? []).map(({ digest }) => digest)
      const held = referrersOf(subject).filter(({ digest }) => view.manifests.includes(digest))
      const expected = held.map(({ digest }) => digest).toSorted()
      ok(
        listed.join() === expected.join(),
        `referrers of ${subject}: ${listed.join()} for ${expected.join()}`,
      )
    }
    for (const check of this.#checks.splice(0)) check()
  }

  async #lookAtTags(): Promise<void> {
    const { result: listed, span } = await this.#history.during(() => this.#registry.tagNames(shared))
    for (const tag of tags) {
      const isListed = listed.includes(tag)
      const values = isListed ? manifests.map(({ digest }) => digest) : ['absent']
      this.#expect(tag, span, ...values)
      const read = await this.#history.during(() => this.#registry.manifest(shared, tag))
      this.#expect(tag, read.span, read.result ?? 'absent')
    }
  }

  async #lookAtReferrers(subject: string): Promise<void> {
    const { result, span } = await this.#history.during(() => this.#registry.referrers(shared, subject))
    const listed = result.map(({ digest }) => digest)
    for (const { digest } of referrersOf(subject)) this.#expect(digest, span, heldIf(listed.includes(digest)))
  }

  #pushed(manifest: WorldManifest, tag: number | undefined, span: Span, { answer, missing }: Outcome): void {
    const { digest } = manifest
    for (const needed of [...manifest.blobs, ...manifest.manifests])
      this.#expect(needed, span, heldIf(missing?.includes(needed) !== true))
    if (answer !== 'done') return
    this.#history.changed(digest, span, 'held')
    if (tag !== undefined) this.#history.changed(at(tags, tag), span, digest)
  }

  #removed(register: string, span: Span, { answer }: Outcome): void {
    if (answer === 'done') this.#history.changed(register, span, 'absent')
    else this.#expect(register, span, 'absent')
  }

  /** One of these values must be explained. */
  #expect(register: string, span: Span, ...values: readonly Value[]): void {
    const message = `nothing explains that ${register} is ${values.join(' or ')}`
    this.#checks.push(() =>
      ok(
        values.some(value => this.#history.explains(register, span, value)),
        message,
      ),
    )
  }
}

function heldIf(isHeld: boolean): Value {
  return isHeld ? 'held' : 'absent'
}

function referrersOf(subject: string): readonly WorldManifest[] {
  return manifests.filter(one => one.subject === subject)
}
