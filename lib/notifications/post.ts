// One try to deliver a notification: a POST, and what it is redirected to. Headers that were configured for an endpoint,
// which may be credentials, are for its own origin alone.
import { STATUS_CODES } from 'node:http'
import { request, type Dispatcher } from 'undici'
import { eventMediaType } from './event.ts'

export interface Delivery {
  readonly url: URL
  /** Of the configuration, by name. */
  readonly headers: Readonly<Record<string, readonly string[]>>
  readonly userAgent: string
  readonly body: string
  readonly dispatcher: Dispatcher
  readonly signal: AbortSignal
}

export interface DeliveryAnswer {
  readonly status: number
  readonly isAccepted: boolean
}

const maxRedirects = 10
/** Those that ask for the same request elsewhere. 303 says that the request was done, and where to read of it. */
const redirects: ReadonlySet<number> = new Set([301, 302, 307, 308])

/** Follows redirects with the event in hand; 2xx and 3xx are acceptance. Rejects where nobody answers. */
export async function deliver(delivery: Delivery): Promise<DeliveryAnswer> {
  let { url } = delivery
  for (let followed = 0; ; followed++) {
    const { status, location } = await post(delivery, url)
    if (location === undefined || !redirects.has(status)) {
      return { status, isAccepted: status >= 200 && status < 400 }
    }
    if (followed === maxRedirects) throw new Error(`Cannot deliver: more than ${maxRedirects} redirects`)
    url = redirected(url, location)
  }
}

/** As in `200 OK`. */
export function formatStatus(status: number): string {
  return `${status} ${STATUS_CODES[status] ?? ''}`.trimEnd()
}

async function post(delivery: Delivery, url: URL) {
  const { body, dispatcher, signal, userAgent } = delivery
  const target = new URL(url)
  target.username = ''
  target.password = ''
  const answer = await request(target, {
    method: 'POST',
    headers: {
      'content-type': eventMediaType,
      'user-agent': userAgent,
      ...(url.origin === delivery.url.origin && ownHeaders(delivery)),
    },
    body,
    dispatcher,
    signal,
  })
  // What it says is of no interest; reading a little of it keeps the connection.
  await answer.body.dump({ limit: 64 * 1024, signal })
  const { location } = answer.headers
  return { status: answer.statusCode, location: typeof location === 'string' ? location : location?.[0] }
}

function ownHeaders({ url, headers }: Delivery): Record<string, string | string[]> {
  const own: Record<string, string | string[]> = {}
  if (url.username !== '') {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
    own['authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`
  }
  for (const [name, values] of Object.entries(headers)) own[name.toLowerCase()] = [...values]
  return own
}

function redirected(from: URL, location: string): URL {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new Error('Cannot deliver: redirected to what is no URL of HTTP')
}
