// Upload sessions against a model: a buffer. Whatever is done to a session, in whichever process, what it says it has
// is what was taken, and what it completes to is that and nothing else.
import fc from 'fast-check'
import t from 'tap'
import { digestOf } from '../../lib/oci/digest.ts'
import { RegistryError } from '../../lib/oci/errors.ts'
import { parseRepositoryName } from '../../lib/oci/repository-name.ts'
import { bodyOf, brokenBodyOf, createStores, onEachDriver } from '../support/stores.ts'

type Step =
  | { readonly kind: 'append' | 'break off'; readonly chunks: readonly Uint8Array[]; readonly beside: number }
  | { readonly kind: 'resume' | 'restart' | 'complete wrongly' }

const name = parseRepositoryName('team/app')
const anyChunks = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 4 })
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('append' as const, 'break off' as const),
      chunks: anyChunks,
      beside: fc.constantFrom(0, 0, 0, 1, -1, 100),
    }),
  },
  fc.record({ kind: fc.constantFrom('resume' as const, 'restart' as const, 'complete wrongly' as const) }),
)

onEachDriver(t, 'Upload behaves like a buffer, whatever is done to it', async (t, driver) => {
  const algorithms = fc.constantFrom('sha256' as const, 'sha512' as const)
  const property = fc.asyncProperty(
    fc.array(anyStep, { maxLength: 12 }),
    algorithms,
    async (steps, algorithm) => {
      let stores = createStores(driver)
      let session = await stores.uploads.start(name)
      let model = Buffer.alloc(0)
      for (const step of steps) {
        switch (step.kind) {
          case 'append':
          case 'break off': {
            const body =
              step.kind === 'append'
                ? bodyOf(...step.chunks)
                : brokenBodyOf(new Error('reset'), ...step.chunks)
            const outcome = await outcomeOf(session.append(body, model.length + step.beside))
            body.destroy()
            if (step.beside === 0) model = Buffer.concat([model, ...step.chunks])
            if (step.beside !== 0) equal(outcome, 'RANGE_INVALID')
            else equal(outcome, step.kind === 'append' ? 'done' : 'reset')
            break
          }
          case 'restart':
            stores = createStores(driver)
            session = await stores.uploads.resume(name, session.id)
            break
          case 'resume':
            session = await stores.uploads.resume(name, session.id)
            break
          case 'complete wrongly': {
            const wrong = digestOf(Buffer.concat([model, Buffer.from('x')]), algorithm)
            equal(await outcomeOf(session.complete(wrong)), 'DIGEST_INVALID')
            break
          }
          default:
            step satisfies never
        }
        equal(session.offset, model.length)
      }
      const digest = digestOf(model, algorithm)
      equal((await session.complete(digest)).size, model.length)
      equal((await stores.blobs.readAll(digest)).toString('hex'), model.toString('hex'))
    },
  )

  await fc.assert(property, { numRuns: 60 })
  t.pass()
})

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'done'
  } catch (err) {
    return err instanceof RegistryError ? err.code : String((err as Error).message)
  }
}

function equal(found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`expected ${String(expected)}, found ${String(found)}`)
}
