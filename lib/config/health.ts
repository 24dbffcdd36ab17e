// What is checked from time to time, and takes the registry out of service while it fails: the keys below `health`.
import * as z from 'zod'
import {
  duration,
  flag,
  httpUrl,
  integer,
  listOf,
  optional,
  piece,
  secretHeaders,
  section,
  traits,
} from './schema.ts'

export interface HealthConfig {
  readonly storagedriver: CheckTiming & { readonly enabled: boolean }
  /** Fails while the file is there. */
  readonly file: readonly (CheckTiming & { readonly file: string })[]
  readonly http: readonly (CheckTiming & {
    readonly uri: URL
    readonly headers: Readonly<Record<string, readonly string[]>>
    readonly statuscode: number
    readonly timeoutMs: number
  })[]
  readonly tcp: readonly (CheckTiming & { readonly addr: string; readonly timeoutMs: number })[]
}

export interface CheckTiming {
  /** 10s. */
  readonly intervalMs: number
  /** Failures in a row from which on a check counts as failing; 0 and 1: the first. */
  readonly threshold: number
}

const defaultMs = 10_000
const timing = { interval: optional(duration, 0), threshold: optional(integer(), 0) }
const given = piece('a text', input => (typeof input === 'string' && input !== '' ? input : undefined))
const timed = ({ interval, threshold }: { readonly interval: number; readonly threshold: number }) => ({
  intervalMs: interval > 0 ? interval : defaultMs,
  threshold: Math.max(0, threshold),
})

export const healthSection = section({
  storagedriver: section({ enabled: optional(flag, false), ...timing }).transform(({ enabled, ...rest }) => ({
    enabled,
    ...timed(rest),
  })),
  file: listOf(
    z.strictObject({ file: given, ...timing }).transform(({ file, ...rest }) => ({ file, ...timed(rest) })),
  ),
  http: listOf(
    z
      .strictObject({
        uri: httpUrl,
        headers: optional(secretHeaders, {}),
        statuscode: optional(integer(), 0),
        timeout: optional(duration, 0),
        ...timing,
      })
      .transform(({ uri, headers, statuscode, timeout, ...rest }) => ({
        uri,
        headers,
        statuscode: statuscode || 200,
        timeoutMs: timeout > 0 ? timeout : defaultMs,
        ...timed(rest),
      })),
  ),
  tcp: listOf(
    z
      .strictObject({ addr: given, timeout: optional(duration, 0), ...timing })
      .transform(({ addr, timeout, ...rest }) => ({
        addr,
        timeoutMs: timeout > 0 ? timeout : defaultMs,
        ...timed(rest),
      })),
  ),
}).register(traits, {
  aliases: { filecheckers: 'file', httpcheckers: 'http', tcpcheckers: 'tcp' },
})
