// What changes where clients are sent for blobs: the keys below `middleware`. Only those for storage exist.
import * as z from 'zod'
import {
  choice,
  duration,
  flag,
  httpUrl,
  listOf,
  optional,
  orNothing,
  outlines,
  piece,
  refused,
  section,
  text,
  traits,
} from './schema.ts'

export type StorageMiddlewareConfig = RedirectConfig | RewriteConfig | CloudFrontConfig

/** Clients fetch blobs from `<baseurl>/docker/registry/v2/blobs/…/data`. */
export interface RedirectConfig {
  readonly name: 'redirect'
  readonly baseurl: URL
}

/** Changes the URL that the storage driver gives. */
export interface RewriteConfig {
  readonly name: 'rewrite'
  readonly scheme: string | undefined
  readonly host: string | undefined
  readonly trimpathprefix: string | undefined
}

/** Signs URLs of a CloudFront distribution in front of the bucket. */
export interface CloudFrontConfig {
  readonly name: 'cloudfront'
  readonly baseurl: URL
  /** Path of a PEM file. */
  readonly privatekey: string
  readonly keypairid: string
  /** 20m. */
  readonly durationMs: number
  /** Clients inside AWS, or in these regions of it, are sent to the bucket itself. */
  readonly ipfilteredby: 'none' | 'aws' | 'awsregion'
  readonly awsregion: readonly string[]
  /** 12h. */
  readonly updatefrequencyMs: number
  readonly iprangesurl: URL | undefined
}

const minute = 60_000
const given = piece('a text', input => (typeof input === 'string' && input !== '' ? input : undefined))
const positive = (value: number, fallback: number) => (value > 0 ? value : fallback)

const redirectKeys = { baseurl: httpUrl }
const redirect = z
  .object(redirectKeys)
  .transform((options): RedirectConfig => ({ name: 'redirect', ...options }))
const rewriteKeys = {
  scheme: orNothing(text),
  host: orNothing(text),
  trimpathprefix: orNothing(text),
}
const rewrite = z.object(rewriteKeys).transform((options): RewriteConfig => ({ name: 'rewrite', ...options }))
const cloudfrontKeys = {
  baseurl: httpUrl,
  privatekey: given,
  keypairid: given,
  duration: optional(duration, 0),
  ipfilteredby: optional(choice('none', 'aws', 'awsregion'), 'none'),
  awsregion: optional(text, ''),
  updatefrequency: optional(duration, 0),
  updatefrenquency: optional(duration, 0),
  iprangesurl: orNothing(httpUrl),
}
const cloudfront = z
  .object(cloudfrontKeys)
  .transform(({ duration, awsregion, updatefrequency, updatefrenquency, ...options }): CloudFrontConfig => ({
    name: 'cloudfront',
    ...options,
    durationMs: positive(duration, 20 * minute),
    awsregion: awsregion
      .split(',')
      .map(region => region.trim())
      .filter(region => region !== ''),
    updatefrequencyMs: positive(updatefrequency, positive(updatefrenquency, 720 * minute)),
  }))
const kinds = { redirect, rewrite, cloudfront } as const
const options = z.unknown().optional().register(traits, { open: true })
/** Which of these count is only known with the name; a key of another kind is ignored. */
outlines.set(
  options,
  z.strictObject(
    Object.fromEntries(
      Object.entries({ ...redirectKeys, ...rewriteKeys, ...cloudfrontKeys }).map(([key, value]) => [
        key,
        z.optional(value),
      ]),
    ),
  ),
)

/** Those that are not disabled, in the order in which they are written. */
export const middlewareSection = section({
  registry: refused('nothing: there is no middleware for registries', isAllDisabled),
  repository: refused('nothing: there is no middleware for repositories', isAllDisabled),
  storage: listOf(
    z
      .strictObject({
        name: choice('redirect', 'rewrite', 'cloudfront'),
        disabled: optional(flag, false),
        options,
      })
      .transform(({ name, disabled, options: given }, context): StorageMiddlewareConfig | undefined => {
        if (disabled) return undefined
        const parsed = kinds[name].safeParse(given ?? {})
        if (parsed.success) return parsed.data
        for (const issue of parsed.error.issues)
          context.issues.push({
            ...issue,
            input: given,
            path: ['options', ...issue.path],
          } as z.core.$ZodRawIssue)
        return z.NEVER
      }),
  ),
}).transform(({ storage }) => ({ storage: storage.filter(one => one !== undefined) }))

function isAllDisabled(input: unknown): boolean {
  if (!Array.isArray(input)) return input === undefined || input === null
  return input.every((one: unknown) => {
    const disabled = typeof one === 'object' && one !== null && 'disabled' in one ? one.disabled : undefined
    return String(disabled).toLowerCase() === 'true'
  })
}
