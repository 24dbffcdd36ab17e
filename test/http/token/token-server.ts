// A server with users, rules and a token service, and the questions that clients put to it.
import type { Test } from 'tap'
import type { Clock } from '../../../lib/clock.ts'
import { basic, htpasswdLine, startAuthServer } from '../../support/auth-server.ts'

export const alice = basic('alice', 'wonder')
export const minute = 60_000

const rules = `access: [
  {principal: alice, repository: team/*, actions: "*"},
  {principal: bob, repository: team/*, actions: pull},
  {principal: anonymous, repository: public/*, actions: pull}]`

export interface TokenServerOptions {
  readonly clock?: Clock
  /** Keys of `tokenservice`, as YAML in flow style. */
  readonly more?: string
  readonly http?: string
  readonly access?: string
  readonly dir?: string
}

export async function startTokenServer(t: Test, options: TokenServerOptions = {}) {
  const { more = '', http = '', access = rules, clock } = options
  const users = `${await htpasswdLine('alice', 'wonder')}${await htpasswdLine('bob', 'builder')}`
  const dir = options.dir ?? t.testdir({ htpasswd: users })
  const server = await startAuthServer(t, {
    more: `auth: {htpasswd: {realm: test, path: "${dir}/htpasswd"}}, ${access}, tokenservice: {enabled: true${more}}`,
    http,
    ...(clock && { clock }),
  })
  const post = (form: Record<string, string>, init: RequestInit = {}) =>
    fetch(`${server.url}/auth/token`, { method: 'POST', body: new URLSearchParams(form), ...init })
  return {
    ...server,
    dir,
    users,
    get: (query: string, authorization?: string) => server.ask(`/auth/token${query}`, authorization),
    post,
    /** A token as the answer has it. */
    async token(query: string, authorization?: string): Promise<string> {
      return (await answerOf(await server.ask(`/auth/token${query}`, authorization))).token
    },
    async refreshToken(user: string, password: string): Promise<string> {
      const res = await post({ grant_type: 'password', username: user, password, access_type: 'offline' })
      return (await answerOf(res)).refresh_token
    },
  }
}

export interface TokenAnswer {
  readonly token: string
  readonly access_token: string
  readonly scope: string
  readonly expires_in: number
  readonly issued_at: string
  readonly refresh_token: string
}

export async function answerOf(res: Response): Promise<TokenAnswer> {
  if (res.status !== 200) throw new Error(`token was refused: ${res.status} ${await res.text()}`)
  return (await res.json()) as TokenAnswer
}
