// The faults as they are written: JSON for the control endpoint, an object for startFaultUpstream(). A mistake is an
// error that names its place, since a fault that is silently left out makes a test pass that proves nothing.
import { z } from 'zod'
import { listenerNames, requestKinds } from './requests.ts'

const count = z.int().min(0)
const oneOrMore = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).min(1)])

const pattern = z.string().refine(isPattern, 'Expected a regular expression')

const matchSchema = z.strictObject({
  listener: oneOrMore(z.enum(listenerNames)).optional(),
  kind: oneOrMore(z.enum(requestKinds)).optional(),
  method: oneOrMore(z.string().regex(/^[A-Z]+$/)).optional(),
  /** Source of a regular expression, searched for in the path, which has no query. */
  path: pattern.optional(),
})

const ruleSchema = z.strictObject({
  /** Every request, if left out. */
  match: matchSchema.optional(),
  /** The rule is for the first so many requests that match; for all of them, if left out. */
  times: z.int().min(1).optional(),
  /** The rule is for this share of the requests that match, evenly spread and beginning with the first. */
  ratio: z.number().gt(0).max(1).optional(),
  /** Waited before the headers go out. */
  latencyMs: z.number().min(0).optional(),
  /** Of bodies, per connection. */
  bytesPerSecond: z.number().gt(0).optional(),
  /** The request is accepted and never answered. */
  blackHole: z.boolean().optional(),
  /** Answered with this status, without asking the real registry. */
  status: z.int().min(200).max(599).optional(),
  /** Set on whatever is answered; null takes a header away. */
  headers: z.record(z.string(), z.string().nullable()).optional(),
  /**
   * As Docker Hub counts pulls: GETs that match use up the budget, and 429 is what they get without one; HEADs are
   * free. Both are told of it in `ratelimit-limit` and `ratelimit-remaining`.
   */
  budget: z.strictObject({ limit: count, windowSeconds: z.int().min(1).default(21_600) }).optional(),
  /** Blobs are answered with 307 to another host and port, which refuses requests that bring Authorization. */
  redirect: z.boolean().optional(),
  /** The connection is reset after so many bytes of a body that has more, the first `times` times. */
  cut: z.strictObject({ afterBytes: count, times: z.int().min(1).optional() }).optional(),
  /** Inverts the byte at this place of the content, also where only a range of it is sent. */
  flipByteAt: count.optional(),
  /** The body ends, and with it the connection, so many bytes before the length that its headers promise. */
  truncateBy: z.int().min(1).optional(),
  /** The body has so many bytes more at its end, and the headers say so. */
  lengthenBy: z.int().min(1).optional(),
  /** Leaves Content-Length out. */
  chunked: z.boolean().optional(),
  /** `claimed` says Content-Encoding: gzip of bytes that are none; `applied` compresses what nobody asked for. */
  gzip: z.enum(['claimed', 'applied']).optional(),
})

const authSchema = z.strictObject({
  /** Who gets a token; anybody, if left out. */
  username: z.string().optional(),
  password: z.string().optional(),
  /** `expires_in` of tokens, after which they are refused; left out of the answer, and for ever, without it. */
  expiresInSeconds: z.int().min(1).optional(),
})

const faultsSchema = z.strictObject({
  /** All that match a request count; a later one wins over an earlier one, member by member. */
  rules: z.array(ruleSchema).max(1000).default([]),
  /** A bearer token is wanted, of a token service on a port of its own. Its requests are of the kind `token`. */
  auth: authSchema.optional(),
  /** False refuses connections, and closes those there are, until it is true again: on the same ports. */
  listening: z.boolean().default(true),
})

/** What is wrong with the upstream. Nothing is, by default. */
export type FaultsInput = z.input<typeof faultsSchema>

export type FaultRule = z.output<typeof ruleSchema>

export type FaultsConfig = z.output<typeof faultsSchema>

/** Throws a TypeError that names every mistake and its place. */
export function parseFaults(input: unknown): FaultsConfig {
  const { data, error } = faultsSchema.safeParse(input)
  if (error !== undefined) throw new TypeError(`Cannot read faults: ${z.prettifyError(error)}`)
  return data
}

function isPattern(source: string): boolean {
  try {
    new RegExp(source)
    return true
  } catch {
    return false
  }
}
