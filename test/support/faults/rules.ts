// Which faults a request meets: the rules, and how often each of them has had its turn.
import type { FaultRule } from './schema.ts'
import type { SeenRequest } from './requests.ts'

/** What is wrong with one answer: all rules that match its request, put together. */
export interface RequestFaults extends Omit<
  FaultRule,
  'match' | 'times' | 'ratio' | 'budget' | 'cut' | 'headers'
> {
  readonly headers: Readonly<Record<string, string | null>>
  /** `take()` is called where the body reaches `afterBytes`, and says whether it is cut there. */
  readonly cut?: { readonly afterBytes: number; take(): boolean }
}

/** The rules of one `PUT /faults`; their counts begin with it. */
export class FaultRules {
  readonly #rules: readonly CountedRule[]

  constructor(rules: readonly FaultRule[]) {
    this.#rules = rules.map(rule => new CountedRule(rule))
  }

  /** Takes the turn of each rule that matches. */
  faultsFor(request: SeenRequest): RequestFaults {
    let faults: RequestFaults = { headers: {} }
    for (const rule of this.#rules) {
      if (!rule.takesTurn(request)) continue
      const own = rule.faultsFor(request)
      faults = { ...faults, ...own, headers: { ...faults.headers, ...own.headers } }
    }
    return faults
  }
}

class CountedRule {
  readonly #rule: FaultRule
  readonly #path: RegExp | undefined
  #seen = 0
  #turns = 0
  #cuts = 0
  #spent = 0

  constructor(rule: FaultRule) {
    this.#rule = rule
    this.#path = rule.match?.path === undefined ? undefined : new RegExp(rule.match.path)
  }

  takesTurn(request: SeenRequest): boolean {
    const { match = {}, ratio = 1, times = Infinity } = this.#rule
    if (!includes(match.listener, request.listener) || !includes(match.kind, request.kind)) return false
    if (!includes(match.method, request.method) || this.#path?.test(request.path) === false) return false
    const before = Math.ceil(this.#seen * ratio)
    const isTurn = Math.ceil(++this.#seen * ratio) > before && this.#turns < times
    if (isTurn) this.#turns++
    return isTurn
  }

  faultsFor({ method }: SeenRequest): RequestFaults {
    const { match: _match, times: _times, ratio: _ratio, budget, cut, headers = {}, ...faults } = this.#rule
    return {
      ...faults,
      ...(budget && this.#spend(budget, method)),
      headers: { ...headers, ...(budget && this.#budgetHeaders(budget)) },
      ...(cut && { cut: { afterBytes: cut.afterBytes, take: () => this.#cuts++ < (cut.times ?? Infinity) } }),
    }
  }

  #spend(budget: NonNullable<FaultRule['budget']>, method: string): { readonly status?: number } {
    if (method !== 'GET') return {}
    if (this.#spent >= budget.limit) return { status: 429 }
    this.#spent++
    return {}
  }

  #budgetHeaders({ limit, windowSeconds }: NonNullable<FaultRule['budget']>): Record<string, string> {
    return {
      'ratelimit-limit': `${limit};w=${windowSeconds}`,
      'ratelimit-remaining': `${limit - this.#spent};w=${windowSeconds}`,
    }
  }
}

function includes<T>(wanted: T | readonly T[] | undefined, value: T): boolean {
  return wanted === undefined || [wanted].flat().includes(value)
}
