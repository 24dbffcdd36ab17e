// Webhooks: the keys below `notifications`. `queue` and `events.mirror` are ours.
import * as z from 'zod'
import {
  duration,
  flag,
  httpUrl,
  integer,
  listOf,
  optional,
  orNothing,
  ours,
  piece,
  secretHeaders,
  section,
  text,
  traits,
} from './schema.ts'

export interface NotificationsConfig {
  /** Whether the event of a manifest lists what it refers to. */
  readonly includereferences: boolean
  /** Whether fills, evictions and stale answers of a mirror are events, too. */
  readonly mirror: boolean
  readonly endpoints: readonly EndpointConfig[]
  readonly queue: {
    /** Where events wait that are not delivered yet; undefined: beside a filesystem store, else in memory. */
    readonly directory: string | undefined
    /** The most events that wait for one endpoint, 100000; the oldest give way, and are counted. */
    readonly maxevents: number
  }
}

export interface EndpointConfig {
  readonly name: string
  readonly disabled: boolean
  readonly url: URL
  readonly headers: Readonly<Record<string, readonly string[]>>
  /** For one delivery; 1s. */
  readonly timeoutMs: number
  /** Failures in a row after which there are pauses; 10. */
  readonly threshold: number
  /** Between two tries, once there are pauses; 1s. */
  readonly backoffMs: number
  readonly ignore: { readonly mediatypes: readonly string[]; readonly actions: readonly string[] }
}

const second = 1000
const positive = (value: number, fallback: number) => (value > 0 ? value : fallback)
const given = piece('a name', input => (typeof input === 'string' && input !== '' ? input : undefined))

const endpoint = z
  .strictObject({
    name: given,
    disabled: optional(flag, false),
    url: httpUrl,
    headers: optional(secretHeaders, {}),
    timeout: optional(duration, 0),
    threshold: optional(integer(), 0),
    backoff: optional(duration, 0),
    ignoredmediatypes: listOf(text),
    ignore: section({ mediatypes: listOf(text), actions: listOf(text) }),
  })
  .transform(({ timeout, threshold, backoff, ignoredmediatypes, ignore, ...rest }): EndpointConfig => ({
    ...rest,
    timeoutMs: positive(timeout, second),
    threshold: positive(threshold, 10),
    backoffMs: positive(backoff, second),
    ignore: { mediatypes: [...ignoredmediatypes, ...ignore.mediatypes], actions: ignore.actions },
  }))

export const notificationsSection = section({
  events: section({ includereferences: optional(flag, false), mirror: optional(flag, false) }),
  endpoints: listOf(endpoint),
  queue: ours(section({ directory: orNothing(text), maxevents: optional(integer(1), 100_000) })),
})
  .transform(({ events, endpoints, queue }): NotificationsConfig => ({ ...events, endpoints, queue }))
  .register(traits, { aliases: { eventconfig: 'events' } })
