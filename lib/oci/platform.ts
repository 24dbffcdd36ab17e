// Platforms as people write them, `linux/arm64/v8`, and which entries of an index are for one. Variants are compared as
// runtimes do it: an omitted one is the architecture's usual one, and a machine also runs what was made for an older
// one. Source: image-spec image-index.md "Platform Variants".
import { endianness } from 'node:os'
import type { ManifestEntry, Platform } from './descriptor.ts'

/** Parses `os/architecture[/variant]`; undefined where the text is none. */
export function parsePlatform(text: string): Platform | undefined {
  const [, os, architecture, variant] = grammar.exec(text.toLowerCase()) ?? []
  if (os === undefined || architecture === undefined) return undefined
  return variant === undefined ? { os, architecture } : { os, architecture, variant }
}

const grammar = /^([a-z0-9_.-]+)\/([a-z0-9_.-]+)(?:\/([a-z0-9_.-]+))?$/

export function formatPlatform({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === undefined || variant === '' ? '' : `/${variant}`}`
}

/** What containers on this machine run: always Linux, as on other systems they have a virtual machine of it. */
export function machinePlatform(arch: string = process.arch): Platform {
  if (arch === 'ppc64' && endianness() === 'LE') return { os: 'linux', architecture: 'ppc64le' }
  return { os: 'linux', architecture: architectures.get(arch) ?? arch }
}

/** Node's words for architectures that Go, and so the specification, calls otherwise. */
const architectures: ReadonlyMap<string, string> = new Map([
  ['x64', 'amd64'],
  ['ia32', '386'],
  ['mipsel', 'mipsle'],
])

/** The entries for a platform: those of its own variant, else of the newest older one. None where it has none. */
export function entriesFor(platform: Platform, entries: readonly ManifestEntry[]): readonly ManifestEntry[] {
  const { os, architecture } = platform
  const variants = entries.flatMap(entry => {
    const isFitting = entry.platform?.os === os && entry.platform.architecture === architecture
    return isFitting ? [{ entry, variant: variantOf(entry.platform) }] : []
  })
  const wanted = variantOf(platform)
  const older = variants
    .map(({ variant }) => variant)
    .filter(variant => numberOf(variant) >= 0 && numberOf(variant) < numberOf(wanted))
    .toSorted((a, b) => numberOf(b) - numberOf(a))
  const best = variants.some(({ variant }) => variant === wanted) ? wanted : older[0]
  return variants.filter(({ variant }) => variant === best).map(({ entry }) => entry)
}

function variantOf({ architecture, variant = '' }: Platform): string {
  return variant === '' ? (usualVariants.get(architecture) ?? '') : variant
}

const usualVariants: ReadonlyMap<string, string> = new Map([
  ['amd64', 'v1'],
  ['arm', 'v7'],
  ['arm64', 'v8'],
])

/** The number of a variant such as `v7`; -1 where it has none, and cannot be compared. */
function numberOf(variant: string): number {
  return Number(/^v(\d+)$/.exec(variant)?.[1] ?? -1)
}
