// How we talk to an authority: within limits, once, and so that its refusals can be read. Trying again is for
// renewal.ts, with everything that was tried before in mind; what the library does itself would wait unseen, for as long
// as the authority likes, and with timers that keep the process alive.
import type * as Library from 'acme-client'

const requestTimeoutMs = 30_000
const longestAnswer = 1024 * 1024
const longestDetail = 1000

/** Loaded by those who need it alone. */
export async function loadAcme(): Promise<(typeof Library)['default']> {
  const { default: acme } = await import('acme-client')
  const { defaults, interceptors } = acme.axios
  Object.assign(defaults, { timeout: requestTimeoutMs, maxContentLength: longestAnswer })
  interceptors.request.clear()
  interceptors.response.clear()
  interceptors.response.use(response => {
    const { status, config } = response
    const { type, detail } = Object(response.data) as { readonly type?: unknown; readonly detail?: unknown }
    // The library asks again by itself.
    if (status < 400 || type === 'urn:ietf:params:acme:error:badNonce') return response
    const told = typeof detail === 'string' ? `: ${detail.slice(0, longestDetail)}` : ''
    throw new Error(`Cannot ask authority at "${config.url}": answered ${status}${told}`)
  })
  return acme
}
