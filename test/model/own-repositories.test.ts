// Up to eight clients at once, each in two repositories of its own, all with the same content: whatever the others do,
// every answer a client gets and all it sees afterwards is what the model says.
import { deepStrictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { driverKinds } from '../support/stores.ts'
import type { RegistryClient } from './registry-client.ts'
import { RepositoryModel, type Step } from './repository-model.ts'
import { parameters, withRegistry } from './start-registry.ts'
import { anyStep } from './steps.ts'
import { blobs } from './world.ts'

interface OwnStep {
  readonly repository: 'app' | 'lib'
  readonly step: Step
}

/** Holds every blob and is never changed. */
const base = 'base/image'

const anyProgram = fc.array(
  fc.record({
    repository: fc.constantFrom('app' as const, 'lib' as const),
    step: anyStep(['app', 'lib', base]),
  }),
  { maxLength: 14, size: 'max' },
)
/** After each round all clients stop, and everything is looked at. */
const anyRounds = fc.array(fc.array(anyProgram, { minLength: 1, maxLength: 8, size: 'max' }), {
  minLength: 1,
  maxLength: 2,
})

for (const kind of driverKinds) {
  t.test(`a repository is what its one client made it, whatever others do beside it (${kind})`, async t => {
    const root = t.testdir({})
    let run = 0
    const property = fc.asyncProperty(anyRounds, rounds =>
      withRegistry(kind, `${root}/${++run}`, async registry => {
        await fillBase(registry)
        const clients = Array.from({ length: 8 }, (_, i) => new OwnClient(registry, `client-${i}`))
        for (const programs of rounds) {
          const active = clients.slice(0, programs.length)
          await Promise.all(active.map((client, i) => client.run(programs[i] ?? [])))
          await Promise.all(active.map(client => client.compare()))
        }
      }),
    )

    await fc.assert(property, parameters(8))

    t.pass()
  })
}

/** One client with the models of its two repositories. */
class OwnClient {
  readonly #registry: RegistryClient
  readonly #prefix: string
  readonly #models = { app: new RepositoryModel(), lib: new RepositoryModel() }

  constructor(registry: RegistryClient, prefix: string) {
    this.#registry = registry
    this.#prefix = prefix
  }

  async run(program: readonly OwnStep[]): Promise<void> {
    for (const { repository, step } of program) {
      const expected = this.#models[repository].apply(
        step,
        (from, digest) => from === base || this.#models[from as 'app' | 'lib'].holdsBlob(digest),
      )
      const found = await this.#registry.perform(this.#path(repository), this.#named(step))
      deepStrictEqual(found, expected, `${this.#path(repository)}: ${JSON.stringify(step)}`)
    }
  }

  async compare(): Promise<void> {
    for (const repository of ['app', 'lib'] as const) {
      const found = await this.#registry.view(this.#path(repository))
      deepStrictEqual(found, this.#models[repository].view(), this.#path(repository))
    }
  }

  #path(repository: string): string {
    return `${this.#prefix}/${repository}`
  }

  #named(step: Step): Step {
    return step.do === 'mount blob' && step.from !== base ? { ...step, from: this.#path(step.from) } : step
  }
}

async function fillBase(registry: RegistryClient): Promise<void> {
  for (const blob of blobs.keys()) await registry.perform(base, { do: 'push blob', blob, way: 'post' })
}
