// What happened to one repository that several clients changed at once, and what may be seen of it afterwards. Each
// thing in it (a blob, a manifest, a tag) is a register; a change takes effect at some moment between the sending of its
// request and its answer. A value that is read is explained if some order of those moments gives it.

/** Of a blob or manifest: `held`. Of a tag: the digest it points to. Of all: `absent`. */
export type Value = 'absent' | 'held' | (string & {})

/** Moments are counted, not measured: every sending and every answer has a number of its own. */
export interface Span {
  readonly sent: number
  readonly answered: number
}

interface Change extends Span {
  readonly value: Value
  /** Only if the register had this value does the change take effect. */
  readonly ifValue?: Value
}

export class History {
  readonly #changes = new Map<string, Change[]>()
  #moment = 0

  /** Runs a request; what it did is recorded by the caller, with the span that it took. */
  async during<T>(request: () => Promise<T>): Promise<{ readonly result: T; readonly span: Span }> {
    const sent = ++this.#moment
    const result = await request()
    return { result, span: { sent, answered: ++this.#moment } }
  }

  changed(register: string, span: Span, value: Value): void {
    this.#of(register).push({ ...span, value })
  }

  /** A change that takes place only where it finds `ifValue`. */
  changedFrom(register: string, span: Span, ifValue: Value, value: Value): void {
    this.#of(register).push({ ...span, value, ifValue })
  }

  /**
   * Whether a read in this span may have found this value: a change to it was sent before the read ended, and no other
   * that must have undone it lies wholly between the two. Every register is absent at first.
   */
  explains(register: string, { sent, answered }: Span, value: Value): boolean {
    const changes = this.#of(register)
    const sources: Change[] = [{ sent: 0, answered: 0, value: 'absent' }, ...changes]
    return sources.some(
      source =>
        source.value === value &&
        source.sent < answered &&
        this.#mayHaveTakenPlace(source, changes, sent) &&
        !changes.some(
          other =>
            other !== source && source.answered < other.sent && other.answered < sent && undoes(other, value),
        ),
    )
  }

  /**
   * Whether a conditional change may have met its condition and be what a later read, sent at `before`, has found: some
   * change set the value it asks for, and every other value that was certainly set by then may have come before that
   * one, or have been taken away by somebody else.
   */
  #mayHaveTakenPlace(change: Change, changes: readonly Change[], before: number): boolean {
    const { ifValue } = change
    if (ifValue === undefined) return true
    const rivals = changes.filter(
      one => one.value !== ifValue && one.value !== change.value && one.answered < before,
    )
    return changes.some(
      setter =>
        setter.value === ifValue &&
        setter.sent < change.answered &&
        rivals.every(
          rival =>
            rival.sent < setter.answered ||
            changes.some(
              other => other !== change && rival.sent < other.answered && undoes(other, rival.value),
            ),
        ),
    )
  }

  #of(register: string): Change[] {
    const known = this.#changes.get(register)
    if (known !== undefined) return known
    const changes: Change[] = []
    this.#changes.set(register, changes)
    return changes
  }
}

/** Whether after this change the register cannot have this value any more. */
function undoes(change: Change, value: Value): boolean {
  if (change.value === value) return false
  return change.ifValue === undefined || change.ifValue === value
}
