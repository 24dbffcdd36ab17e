// A line in which parties take turns: whoever has many waiting does not keep back those who have one.
//
// A map from party to its own line, oldest first. A map keeps the order in which keys were put in: the party whose turn
// is served and, if more of it wait, put in again at the end. Every step takes the same time however many wait.

/** Each member at most once. */
export class FairLine<T> {
  readonly #parties = new Map<string, Set<T>>()
  #size = 0

  /** How many wait, of all parties. */
  get size(): number {
    return this.#size
  }

  add(party: string, member: T): void {
    const line = this.#parties.get(party)
    if (line === undefined) this.#parties.set(party, new Set([member]))
    else line.add(member)
    this.#size++
  }

  /** Takes out the oldest of the party whose turn it is; undefined if nobody waits. */
  next(): T | undefined {
    for (const [party, line] of this.#parties) {
      for (const member of line) {
        this.remove(party, member)
        if (this.#parties.delete(party)) this.#parties.set(party, line)
        return member
      }
    }
    return undefined
  }

  /** Takes out one who does not wait any longer; false if it was not there. */
  remove(party: string, member: T): boolean {
    const line = this.#parties.get(party)
    if (line?.delete(member) !== true) return false
    if (line.size === 0) this.#parties.delete(party)
    this.#size--
    return true
  }
}
