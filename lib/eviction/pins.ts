// What must stay: patterns from the configuration, and those that operators add to a file on storage. A pin keeps what a
// matching tag means at the moment, and everything below that. Tags are looked at when it matters, not at each request.
//
// `docker.io/library/*:1.*` is about tags, `ghcr.io/team/app` about all tags of a repository, `team/app@sha256:…` about
// one manifest. Repository and tag are patterns each (name-pattern.ts), of names that content is stored under.
import { KeyedLock } from '../keyed-lock.ts'
import { compilePattern } from '../name-pattern.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { parseDigest, type Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { Tag } from '../oci/reference.ts'
import type { RepositoryName } from '../oci/repository-name.ts'
import type { Stores } from '../registry/local.ts'
import { StorageError, type StorageDriver } from '../storage/driver/driver.ts'
import { unlessAbsent } from '../storage/driver/unless-absent.ts'
import { layout } from '../storage/layout.ts'
import { CorruptLinkError } from '../storage/links.ts'
import { mirroredRepositories, meaningsOf } from './images.ts'

export interface Pin {
  readonly pattern: string
  /** A pin of the configuration cannot be taken away. */
  readonly source: 'configuration' | 'operator'
}

export interface PinsDeps {
  readonly driver: StorageDriver
  /** Patterns. */
  readonly configured: readonly string[]
  /**
   * Further names that a stored repository goes by: `docker.io/library/nginx` for what lies under `library/nginx`.
   * Default: none.
   */
  readonly namesOf?: ((stored: RepositoryName) => readonly string[]) | undefined
}

/** Who reads all pins with each change, and matches every repository with them, should not have too many. */
const maxPins = 10_000

export class Pins {
  readonly #driver: StorageDriver
  readonly #configured: readonly string[]
  readonly #namesOf: (stored: RepositoryName) => readonly string[]
  readonly #changes = new KeyedLock()
  #version = 0

  /** SyntaxError or RegistryError DIGEST_INVALID for a pattern that is none. */
  constructor({ driver, configured, namesOf = () => [] }: PinsDeps) {
    this.#driver = driver
    this.#configured = configured
    this.#namesOf = namesOf
    configured.forEach(compilePin)
  }

  /** Changes when a pin is added or taken away. */
  get version(): number {
    return this.#version
  }

  /** StorageError if the file is broken: what it says must not be forgotten. */
  async list(options?: CallOptions): Promise<readonly Pin[]> {
    const added = await this.#read(options)
    return [
      ...this.#configured.map(pattern => ({ pattern, source: 'configuration' as const })),
      ...added.map(pattern => ({ pattern, source: 'operator' as const })),
    ]
  }

  /** Durable. SyntaxError or RegistryError DIGEST_INVALID for a pattern that is none; RangeError for one too many. */
  async pin(pattern: string, options?: CallOptions): Promise<void> {
    compilePin(pattern)
    await this.#change(added => {
      if (added.includes(pattern)) return added
      if (added.length >= maxPins) throw new RangeError(`Cannot pin "${pattern}": there are ${maxPins} pins`)
      return [...added, pattern]
    }, options)
  }

  /** Whether there was such a pin; one of the configuration stays. */
  async unpin(pattern: string, options?: CallOptions): Promise<boolean> {
    return this.#change(added => added.filter(one => one !== pattern), options)
  }

  /** What is pinned at this moment: digests of manifests and all that they lead to. */
  async resolve(
    stores: Pick<Stores, 'manifests' | 'mirroredContent' | 'tags'>,
    options?: CallOptions,
  ): Promise<ReadonlySet<Digest>> {
    const pins = (await this.list(options)).map(({ pattern }) => compilePin(pattern))
    const pinned = new Set<Digest>()
    if (pins.length === 0) return pinned
    for (const name of mirroredRepositories(stores.mirroredContent)) {
      const names = [name, ...this.#namesOf(name)]
      const meant = pins.filter(pin => names.some(one => pin.repository.test(one)))
      if (meant.length === 0) continue
      for (const digest of await rootsOf(name, meant, stores, options)) {
        await addPinned(pinned, name, digest, stores, options)
      }
    }
    return pinned
  }

  async #change(
    change: (added: readonly string[]) => readonly string[],
    options?: CallOptions,
  ): Promise<boolean> {
    return this.#changes.run(
      'pins',
      async () => {
        const before = await this.#read(options)
        const after = change(before)
        if (after.length === before.length) return false
        await this.#driver.writeAll(layout.pins, Buffer.from(JSON.stringify(after)), options)
        this.#version++
        return true
      },
      options,
    )
  }

  async #read(options?: CallOptions): Promise<readonly string[]> {
    const bytes = await unlessAbsent(() => this.#driver.readAll(layout.pins, options))
    if (bytes === undefined) return []
    const added = parseJson(bytes)
    if (Array.isArray(added) && added.every(one => typeof one === 'string')) return added
    throw new StorageError(`Cannot read pins "${layout.pins}": not a list of texts`, layout.pins)
  }
}

interface CompiledPin {
  readonly repository: RegExp
  /** Undefined for a pin of a digest. */
  readonly tag: RegExp | undefined
  readonly digest: Digest | undefined
}

/** SyntaxError, RegistryError DIGEST_INVALID. */
function compilePin(pattern: string): CompiledPin {
  // A regular expression ends with the first slash that ends the pattern or has tag or digest after it.
  const [, repository = '', mark, rest = ''] =
    /^(\/.+?\/(?=[:@]|$)|[^:@]+)(?:([:@])(.+))?$/s.exec(pattern) ?? []
  if (repository === '') throw new SyntaxError(`Cannot parse pin "${pattern.slice(0, 300)}": no repository`)
  const isDigest = mark === '@'
  return {
    repository: compilePattern(repository),
    tag: isDigest ? undefined : compilePattern(mark === undefined ? '*' : rest),
    digest: isDigest ? parseDigest(rest) : undefined,
  }
}

async function rootsOf(
  name: RepositoryName,
  pins: readonly CompiledPin[],
  stores: Pick<Stores, 'mirroredContent' | 'tags'>,
  options?: CallOptions,
): Promise<ReadonlySet<Digest>> {
  const roots = new Set<Digest>()
  for (const { digest } of pins) {
    if (digest !== undefined && stores.mirroredContent.get(digest)?.repositories.includes(name))
      roots.add(digest)
  }
  const isMeant = (tag: Tag) => pins.some(pin => pin.tag?.test(tag))
  const tagged = pins.some(pin => pin.tag !== undefined)
    ? await meaningsOf(name, stores, isMeant, options)
    : []
  for (const { digest } of tagged) roots.add(digest)
  return roots
}

/** Adds a manifest and all below it. */
async function addPinned(
  pinned: Set<Digest>,
  name: RepositoryName,
  root: Digest,
  stores: Pick<Stores, 'manifests' | 'mirroredContent'>,
  options?: CallOptions,
): Promise<void> {
  const tree = new Set([root])
  for (const digest of tree) {
    if (pinned.has(digest)) continue
    pinned.add(digest)
    const refs = stores.mirroredContent.get(digest)?.refs ?? (await refsOf(name, digest, stores, options))
    for (const ref of refs) tree.add(ref)
  }
}

/** Of what has no marker: below what was pushed nothing has one, but below what is older than markers something may. */
async function refsOf(
  name: RepositoryName,
  digest: Digest,
  { manifests }: Pick<Stores, 'manifests'>,
  options?: CallOptions,
): Promise<readonly Digest[]> {
  try {
    const manifest = await manifests.get(name, digest, options)
    if (manifest === undefined) return []
    const content = parseManifest(manifest.bytes)
    return [...content.manifests, ...content.blobs].map(entry => entry.digest)
  } catch (err) {
    if (err instanceof RegistryError || err instanceof CorruptLinkError) return [] // It is broken: nothing to keep.
    throw err
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
