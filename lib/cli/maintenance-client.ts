// Where maintenance is done: by the running server that a configuration (or --server) says the address of, so that it
// and pushes know of each other; or, where nobody listens there, in the store itself.
import { Agent, request } from 'undici'
import type { Config } from '../config/config.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { linesOf, messageIn, parseJson, refusal, unreachable } from './admin-client.ts'
import { readConfiguration } from './configuration.ts'
import { debugUrl, parseServer } from './find-cache.ts'
import type { Io } from './io.ts'

export interface Place {
  /** A configuration file. */
  readonly config?: string | undefined
  /** URL of a debug listener. */
  readonly server?: string | undefined
  readonly offline?: boolean | undefined
}

export type FoundPlace =
  { readonly kind: 'server'; readonly url: URL } | { readonly kind: 'offline'; readonly config: Config }

/** Asks the server whether it is there. */
export async function findPlace(place: Place, io: Io, options: CallOptions): Promise<FoundPlace> {
  if (place.server !== undefined) {
    if (place.offline === true) throw new Error('Cannot work both offline and with --server')
    return { kind: 'server', url: parseServer(place.server) }
  }
  const { config } = await readConfiguration(place.config, io)
  const { addr } = config.http.debug
  if (place.offline === true || addr === undefined || addr.endsWith(':0')) return { kind: 'offline', config }
  const url = debugUrl(config)
  return (await isThere(url, options)) ? { kind: 'server', url } : { kind: 'offline', config }
}

async function isThere(url: URL, options: CallOptions): Promise<boolean> {
  try {
    await askReadOnly(url, undefined, options)
    return true
  } catch (err) {
    if (isRefused(err)) return false
    throw err
  }
}

function isRefused(err: unknown): boolean {
  return (
    err instanceof Error && (err.cause as { readonly code?: unknown } | undefined)?.code === 'ECONNREFUSED'
  )
}

/** Turns it, if `enabled` is given; whether the server is read-only now. */
export async function askReadOnly(
  url: URL,
  enabled: boolean | undefined,
  options: CallOptions,
): Promise<boolean> {
  for await (const answer of ask(
    url,
    'admin/readonly',
    enabled === undefined ? undefined : { enabled },
    options,
  ))
    return (answer as { readonly enabled: boolean }).enabled
  throw new Error(`Cannot understand ${url.href}: its answer is empty`)
}

/** The lines of what the server answers. What goes wrong throws Error, whose message is for the operator. */
export async function* ask(
  url: URL,
  path: string,
  body: object | undefined,
  { signal }: CallOptions,
): AsyncGenerator<unknown, void, void> {
  const agent = new Agent({ connect: { timeout: 5000 }, headersTimeout: 0, bodyTimeout: 0 })
  try {
    const target = new URL(path, url.href.endsWith('/') ? url : `${url.href}/`)
    const answer = await request(target, {
      dispatcher: agent,
      method: body === undefined ? 'GET' : 'POST',
      headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    }).catch((err: unknown) => {
      throw signal?.aborted ? signal.reason : new Error(unreachable(url, err).message, { cause: err })
    })
    if (answer.statusCode >= 400) throw await refusal(url, answer)
    for await (const line of linesOf(answer.body)) {
      const value = parseJson(line, url)
      const message = messageIn(value)
      if (message !== undefined) throw new Error(message)
      yield value
    }
  } catch (err) {
    throw signal?.aborted ? signal.reason : err
  } finally {
    await agent.destroy()
  }
}
