// A CacheAdmin that asks a running server: the client of the admin API (http/admin/cache-api.ts).
import { Agent, request, type Dispatcher } from 'undici'
import type {
  CacheAdmin,
  CachedImage,
  CachePin,
  CacheStats,
  DiskUse,
  Explanation,
  FillInfo,
  PurgeReport,
} from '../http/admin/cache-admin.ts'
import { describeError } from '../log.ts'
import type { CallOptions } from '../oci/descriptor.ts'
import { formatImageReference } from '../oci/image-reference.ts'
import { formatPlatform } from '../oci/platform.ts'
import type { WarmProgress } from '../proxy/warm-progress.ts'

export interface ClosableCacheAdmin extends CacheAdmin {
  close(): Promise<void>
}

const connectTimeoutMs = 5000
/** As many images as fit into what the server reads of a request, whatever their names. */
const imagesPerWarmUp = 50
const maxErrorBytes = 64 * 1024
const maxLineLength = 1024 * 1024

/** Of the server whose debug listener is at `url`. Everything here throws Error, whose message is for the operator. */
export function createAdminClient(url: URL): ClosableCacheAdmin {
  // What the server has to find out first may take long, and so may the next byte of a warm-up.
  const agent = new Agent({ connect: { timeout: connectTimeoutMs }, headersTimeout: 0, bodyTimeout: 0 })

  async function ask(
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    { signal, body, query = {} }: AskOptions,
  ): Promise<Dispatcher.ResponseData> {
    const target = new URL(`admin/cache/${path}`, url.href.endsWith('/') ? url : `${url.href}/`)
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) target.searchParams.set(name, value)
    }
    const content = body === undefined ? {} : { 'content-type': 'application/json' }
    const answer = await request(target, {
      ...{ method, dispatcher: agent, headers: { accept: 'application/json', ...content } },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    }).catch((err: unknown) => {
      throw signal?.aborted ? signal.reason : unreachable(url, err)
    })
    if (answer.statusCode < 400) return answer
    throw await refusal(url, answer)
  }

  async function askJson(
    path: string,
    options: AskOptions = {},
    method: 'GET' | 'POST' = 'GET',
  ): Promise<unknown> {
    const { body } = await ask(method, path, options)
    return parseJson(await body.text(), url)
  }

  async function tell(method: 'PUT' | 'DELETE', path: string, options: AskOptions): Promise<void> {
    await (await ask(method, path, options)).body.dump()
  }

  async function* askLines(
    method: 'GET' | 'POST',
    path: string,
    options: AskOptions,
  ): AsyncGenerator<unknown, void, void> {
    const { body } = await ask(method, path, options)
    try {
      for await (const line of linesOf(body)) {
        const value = parseJson(line, url)
        const message = messageIn(value)
        if (message !== undefined) throw new Error(message)
        yield value
      }
    } catch (err) {
      throw options.signal?.aborted ? options.signal.reason : err
    }
  }

  return {
    stats: async options => (await askJson('stats', options)) as CacheStats,
    list: ({ pattern }, { signal } = {}) =>
      askLines('GET', 'images', { signal, query: { pattern } }) as AsyncGenerator<CachedImage>,
    du: async options => (await askJson('du', options)) as DiskUse,
    pins: async options => ((await askJson('pins', options)) as { readonly pins: readonly CachePin[] }).pins,
    pin: (pattern, { signal } = {}) => tell('PUT', 'pins', { signal, body: { pattern } }),
    async unpin(pattern, { signal } = {}) {
      // That there is no such pin comes as an error, which says more than `false` could.
      await tell('DELETE', 'pins', { signal, body: { pattern } })
      return true
    },
    async purge(image, { signal, ...choice } = {}) {
      const body = { image: formatImageReference(image), ...choice }
      return (await askJson('purge', { body, signal }, 'POST')) as PurgeReport
    },
    async *warm({ images, platforms, withReferrers }, { signal } = {}) {
      const rest = {
        platforms: platforms === 'all' ? [platforms] : platforms.map(formatPlatform),
        referrers: withReferrers,
      }
      for (let at = 0; at < images.length; at += imagesPerWarmUp) {
        const some = images.slice(at, at + imagesPerWarmUp).map(formatImageReference)
        yield* askLines('POST', 'warm', {
          signal,
          body: { images: some, ...rest },
        }) as AsyncGenerator<WarmProgress>
      }
    },
    async explain(image, { signal } = {}) {
      const query = { image: formatImageReference(image) }
      return (await askJson('explain', { signal, query })) as Explanation
    },
    fills: async options =>
      ((await askJson('fills', options)) as { readonly fills: readonly FillInfo[] }).fills,
    close: () => agent.destroy(),
  }
}

interface AskOptions extends CallOptions {
  readonly body?: object | undefined
  readonly query?: Readonly<Record<string, string | undefined>>
}

export function unreachable(url: URL, err: unknown): Error {
  const { code } = err as { readonly code?: unknown }
  const reason =
    code === 'ECONNREFUSED' ? 'nobody listens there; is the registry running?' : describeError(err)
  return new Error(`Cannot ask ${url.href}: ${reason}`)
}

/** What the server says, or, where it is none of ours, that it is none. */
export async function refusal(url: URL, { statusCode, body }: Dispatcher.ResponseData): Promise<Error> {
  const text = await firstOf(body)
  let message: string | undefined
  try {
    message = messageIn(JSON.parse(text))
  } catch {
    // Not JSON, so not ours.
  }
  return new Error(
    message ?? `Cannot ask ${url.href}: answered ${statusCode}; is it the http.debug.addr of a registry?`,
  )
}

async function firstOf(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    chunks.push(chunk as Buffer)
    bytes += (chunk as Buffer).length
    if (bytes > maxErrorBytes) break
  }
  return Buffer.concat(chunks).toString()
}

/** The message of an error, which a value with `errors` is. */
export function messageIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('errors' in value)) return undefined
  const [first] = Array.isArray(value.errors) ? (value.errors as readonly unknown[]) : []
  const message = (first as { readonly message?: unknown } | undefined)?.message
  return typeof message === 'string' ? message : undefined
}

export function parseJson(text: string, url: URL): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Error(`Cannot understand ${url.href}: its answer is not JSON`, { cause })
  }
}

export async function* linesOf(body: AsyncIterable<unknown>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > maxLineLength) throw new Error('Cannot understand the server: a line has no end')
    yield* lines
  }
  if (rest !== '') throw new Error('Cannot understand the server: its last line has no end')
}
