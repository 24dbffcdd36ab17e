// Requests to a registry without credentials; where it gives out tokens to anybody, with one.

export type Answer = Response

const timeoutMs = 60_000

/** Asks for paths; rejects for answers that are no success. */
export function createAuthenticatedFetch(url: URL, repository: string) {
  let authorization: string | undefined
  const send = (path: string, headers: Readonly<Record<string, string>>) =>
    fetch(new URL(path, url), {
      headers: { ...headers, ...(authorization !== undefined && { authorization }) },
      signal: AbortSignal.timeout(timeoutMs),
    })

  return async (path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> => {
    let answer = await send(path, headers)
    if (answer.status === 401 && authorization === undefined) {
      await answer.body?.cancel()
      authorization = await anonymousToken(answer.headers.get('www-authenticate') ?? '', repository)
      if (authorization !== undefined) answer = await send(path, headers)
    }
    if (answer.ok) return answer
    await answer.body?.cancel()
    const needs = answer.status === 401 ? ', it wants credentials, which this check has none of' : ''
    throw new Error(`"${path}" was answered with ${answer.status}${needs}`)
  }
}

async function anonymousToken(challenge: string, repository: string): Promise<string | undefined> {
  const wordOf = (key: string) => new RegExp(`\\b${key}="([^"]*)"`).exec(challenge)?.[1]
  const [realm, service] = [wordOf('realm'), wordOf('service')]
  if (!/^bearer /i.test(challenge) || realm === undefined || !/^https?:/.test(realm) || !URL.canParse(realm))
    return undefined
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', `repository:${repository}:pull`)
  const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
  if (!answer.ok) return void (await answer.body?.cancel())
  const { token, access_token: other } = (await answer.json()) as { token?: unknown; access_token?: unknown }
  const given = token ?? other
  return typeof given === 'string' && /^[\w.~+/=-]+$/.test(given) ? `Bearer ${given}` : undefined
}
