// The pieces that configuration sections are made of. Every scalar of the file arrives here as the text that was
// written (yaml.ts), so that a piece decides what it is: `yes` is a boolean where one is wanted and a string elsewhere,
// and a password of digits keeps its leading zeros. A piece that fails says what it expected; problems.ts adds the rest.
import { validateHeaderName, validateHeaderValue } from 'node:http'
import * as z from 'zod'
import { parseDuration, parseSize } from './units.ts'

/** What a part of the program brings along to be configured: load.ts checks the file against it. */
export interface Section<T> {
  readonly schema: z.ZodType<T>
}

/** What the loader has to know about a piece beyond its schema. */
export interface Traits {
  /** Known to distribution, without effect here: a warning that gives this reason. */
  readonly inert?: string
  /** The value is never shown. */
  readonly secret?: true
  /** Keys that the schema does not list may be set from the environment, too (a map in distribution). */
  readonly open?: true
  /** distribution does not have it: a misspelt key in it, or of it, is an error (unknown-keys.ts). */
  readonly ours?: true
  /** A misspelt key directly in it is an error, too. */
  readonly strict?: true
  /** What environment variables call its keys as well, in lower case; '' is the section itself. */
  readonly aliases?: Readonly<Record<string, string>>
  /** What a text, instead of the map, says. */
  readonly shorthand?: string
  /** Completes "expected …". */
  readonly expected?: string
  /** What kind of scalar; a text where there is none. */
  readonly kind?: Kind
}

export type Kind =
  | { readonly is: 'flag' | 'duration' | 'size' | 'url' | 'nothing' }
  | { readonly is: 'integer'; readonly least: number | undefined }
  | { readonly is: 'choice'; readonly words: readonly string[] }

export const traits = z.registry<Traits>()

/** What outline.ts looks at instead of a schema: of values that can only be parsed once more is known. */
export const outlines = new WeakMap<z.core.$ZodType, z.core.$ZodType>()

/** A value of our own: `parse` returns undefined for what is not one, and `expected` completes "expected …". */
export function piece<T>(
  expected: string,
  parse: (input: unknown) => T | undefined,
  more: Traits = {},
): z.ZodType<T> {
  return z
    .unknown()
    .transform((input, context) => {
      const value = parse(input)
      if (value !== undefined) return value
      context.issues.push({ code: 'custom', message: expected, input })
      return z.NEVER
    })
    .register(traits, { expected, ...more })
}

/** Marks what distribution does not have, and whose being ignored would do harm. For a schema of its own, not a shared one. */
export function ours<S extends z.ZodType>(schema: S): S {
  traits.add(schema, { ...traits.get(schema), ours: true })
  return schema
}

/** A map with known keys. Left out or empty (`http:`) it is as if each of its keys were left out. */
export function section<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.preprocess(value => value ?? {}, z.strictObject(shape))
}

/** A value that may be left out, or left empty: then it is `fallback`. */
export function optional<T, const F>(value: z.ZodType<T>, fallback: F) {
  return value.nullish().transform(given => given ?? fallback)
}

/** A value that may be left out, or be an empty text. */
export function orNothing<T>(value: z.ZodType<T>) {
  return z.preprocess(input => (input === '' ? undefined : input), optional(value, undefined))
}

/** A list; a single value counts as a list of one. */
export function listOf<T>(value: z.ZodType<T>): z.ZodType<T[]> {
  const wrap = (input: unknown) => (typeof input === 'string' ? [input] : (input ?? []))
  return z.preprocess(wrap, z.array(value))
}

const scalar = (input: unknown): string | undefined =>
  typeof input === 'string' || typeof input === 'number' || typeof input === 'boolean'
    ? String(input)
    : undefined

/** A string, as it was written. */
export const text = piece('a string', scalar)

/** A string that no message ever shows. */
export const secret = piece('a string', scalar, { secret: true })

/** `true` or `false`, and the other words that YAML 1.1 has for them. */
export const flag = piece(
  'true or false',
  input => {
    const word = scalar(input)?.toLowerCase() ?? ''
    if (['true', 'yes', 'on', 'y'].includes(word)) return true
    if (['false', 'no', 'off', 'n'].includes(word)) return false
    return undefined
  },
  { kind: { is: 'flag' } },
)

/** A whole number, at least `least` where that is given. */
export function integer(least = Number.MIN_SAFE_INTEGER): z.ZodType<number> {
  const isBounded = least !== Number.MIN_SAFE_INTEGER
  return piece(
    isBounded ? `a whole number of at least ${least}` : 'a whole number',
    input => {
      const written = scalar(input) ?? ''
      const value = Number(written)
      return /^[+-]?\d+$/.test(written) && Number.isSafeInteger(value) && value >= least ? value : undefined
    },
    { kind: { is: 'integer', least: isBounded ? least : undefined } },
  )
}

/** Milliseconds; may be negative, which mostly means the same as zero. */
export const duration = piece(
  'a duration such as 168h or 1h30m',
  input => parseDuration(scalar(input) ?? ''),
  { kind: { is: 'duration' } },
)

/** Milliseconds, more than zero. */
export const positiveDuration = piece(
  'a duration longer than zero, such as 24h',
  input => {
    const milliseconds = parseDuration(scalar(input) ?? '')
    return milliseconds !== undefined && milliseconds > 0 ? milliseconds : undefined
  },
  { kind: { is: 'duration' } },
)

/** Bytes. */
export const size = piece('a size such as 10GB or 512MiB', input => parseSize(scalar(input) ?? ''), {
  kind: { is: 'size' },
})

/** One of some words, whatever their case. */
export function choice<const W extends string>(...words: readonly W[]): z.ZodType<W> {
  const named = words.filter(word => word !== '')
  return piece(
    named.length === 1 ? `"${named[0]}"` : `one of ${named.join(', ')}`,
    input => {
      const written = scalar(input)?.toLowerCase()
      return words.find(word => word === written)
    },
    { kind: { is: 'choice', words } },
  )
}

/** An absolute http or https URL. */
export const httpUrl = piece(
  'a URL that begins with http:// or https://',
  input => {
    const written = scalar(input) ?? ''
    return /^https?:\/\//i.test(written) && URL.canParse(written) ? new URL(written) : undefined
  },
  { kind: { is: 'url' } },
)

/** HTTP headers: name → values. */
export const headers = headerMap()

/** The same for requests of our own, whose values are often credentials: no message ever shows them. */
export const secretHeaders = headerMap().register(traits, { secret: true })

function headerMap(): z.ZodType<Record<string, string[]>> {
  return z.record(
    piece('the name of an HTTP header', input => acceptedBy(validateHeaderName, scalar(input))),
    listOf(
      piece('the value of an HTTP header', input =>
        acceptedBy(value => validateHeaderValue('X', value), scalar(input)),
      ),
    ),
  )
}

/**
 * A regular expression, to be compiled with the `u` flag: it refuses what Go's syntax has and JavaScript would take for
 * plain letters (`\A`, `\z`, `(?i)`), so that no pattern quietly means something else. POSIX classes need the second look.
 */
export const pattern = piece('a regular expression that JavaScript has, too', input =>
  acceptedBy(checkExpression, scalar(input)),
)

/**
 * A pattern for tags: a name with `*` and `?`, or a regular expression between slashes. Anything else that looks like an
 * expression is refused, as it would match nothing.
 */
export const tagPattern = namePattern('v* or /^v[0-9]+$/', /^[\w.*?-]+$/)

/** The same for repositories. */
export const repositoryPattern = namePattern('team/* or /^team\\/[a-z]+$/', /^[\w.*?:/-]+$/)

function namePattern(example: string, plain: RegExp): z.ZodType<string> {
  return piece(`a pattern such as ${example}`, input => {
    const written = scalar(input) ?? ''
    if (!/^\/.+\/$/.test(written)) return plain.test(written) ? written : undefined
    return acceptedBy(checkExpression, written.slice(1, -1)) === undefined ? undefined : written
  })
}

/** Something that distribution has and this program does not act on; it is checked all the same. */
export function checkedButInert(value: z.ZodType, reason: string): z.ZodType {
  return value.nullish().register(traits, { inert: reason })
}

/** Something whose being ignored would do harm: refused, unless `harmless` says otherwise. */
export function refused(expected: string, harmless: (input: unknown) => boolean = isEmpty): z.ZodType {
  const harmlessOnly = piece(expected, input => (harmless(input) ? null : undefined))
  return harmlessOnly.optional().register(traits, { open: true, kind: { is: 'nothing' } })
}

/** Whether nothing is said: no value, no text, or a list or map of nothing else. */
export function isEmpty(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).every(isEmpty)
  return value === undefined || value === null || value === ''
}

function checkExpression(value: string): void {
  if (value.includes('[[:')) throw new SyntaxError('POSIX character class')
  new RegExp(value, 'u')
}

function acceptedBy(validate: (value: string) => void, value: string | undefined): string | undefined {
  try {
    if (value !== undefined) validate(value)
    return value
  } catch {
    return undefined
  }
}
