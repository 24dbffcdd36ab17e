// Slows down whoever guesses passwords: so many wrong ones within a minute, and the next have to wait, without costing
// a comparison. Counted are a user's from one address, and an address's of all users. Not a user's from everywhere:
// else anybody could lock anybody out. An address has so many under way at once, that others get their turn.
import { isIPv6 } from 'node:net'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import { TooManyAttemptsError } from './access-controller.ts'

const windowMs = 60_000
const maxOfUser = 10
const maxOfAddress = 30
const maxOfAddressAtOnce = 32
const maxCounted = 20_000
/** Characters: who makes up longer names shall not fill our memory with them. */
const maxUserLength = 256
const retryWhenFewerMs = 1000

export interface Login {
  readonly user: string
  readonly address: string
}

/** One of both is called when it is known. */
export interface Guess {
  wasWrong(): void
  wasNotWrong(): void
}

interface Counter {
  readonly key: string
  readonly max: number
}

export class FailedLogins {
  readonly #clock: Clock
  /** When the failures of the last minute were, oldest first. */
  readonly #failures = new LRUCache<string, readonly number[]>({ max: maxCounted })
  /** How many guesses of an address have not been judged yet. */
  readonly #underWay = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Throws TooManyAttemptsError while this client has to wait. */
  check(login: Login): void {
    const [, { key: address }] = countersOf(login)
    if ((this.#underWay.get(address) ?? 0) >= maxOfAddressAtOnce)
      throw new TooManyAttemptsError(retryWhenFewerMs, 'too many logins at once')
    for (const { key, max } of countersOf(login)) {
      const failures = this.#recent(key)
      const [deciding] = failures.slice(-max)
      if (failures.length < max || deciding === undefined) continue
      const retryAfterMs = deciding + windowMs - this.#clock.now()
      throw new TooManyAttemptsError(retryAfterMs, 'too many wrong passwords')
    }
  }

  /** A guess counts as wrong until it has turned out right: else any number could be made at once. */
  begin(login: Login): Guess {
    const [ofUser, ofAddress] = countersOf(login)
    const atMs = this.#clock.now()
    this.#add(ofUser, atMs)
    this.#count(ofAddress, 1)
    return {
      wasWrong: () => {
        this.#count(ofAddress, -1)
        this.#add(ofAddress, atMs)
      },
      wasNotWrong: () => {
        this.#count(ofAddress, -1)
        const others = this.#recent(ofUser.key)
        const index = others.lastIndexOf(atMs)
        if (index !== -1) this.#failures.set(ofUser.key, others.toSpliced(index, 1))
      },
    }
  }

  #add({ key, max }: Counter, atMs: number): void {
    this.#failures.set(key, [...this.#recent(key), atMs].slice(-max))
  }

  #count({ key }: Counter, change: 1 | -1): void {
    const count = (this.#underWay.get(key) ?? 0) + change
    if (count === 0) this.#underWay.delete(key)
    else this.#underWay.set(key, count)
  }

  #recent(key: string): readonly number[] {
    const nowMs = this.#clock.now()
    // A clock that was set back must not lock anybody out for longer than a minute.
    return (this.#failures.get(key) ?? []).filter(atMs => atMs <= nowMs && nowMs - atMs < windowMs)
  }
}

function countersOf({ user, address }: Login): readonly [ofUser: Counter, ofAddress: Counter] {
  const network = networkOf(address)
  return [
    { key: `user ${network} ${user.slice(0, maxUserLength)}`, max: maxOfUser },
    { key: `address ${network}`, max: maxOfAddress },
  ]
}

/** Who has one IPv6 address has 2^64 of them. */
function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=[\d.]+$)/i, '')
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.toLowerCase().replace(/%.*$/, '').split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right]
  return groups
    .slice(0, 4)
    .map(group => group.replace(/^0+(?=.)/, ''))
    .join(':')
}
