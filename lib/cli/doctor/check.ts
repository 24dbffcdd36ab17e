// What a check of `registry doctor` finds.

export interface Finding {
  readonly check: string
  readonly verdict: 'ok' | 'warn' | 'fail'
  readonly found: string
  /** What to do about it, perhaps several lines. */
  readonly remedy?: string | undefined
}

export function ok(check: string, found: string): Finding {
  return { check, verdict: 'ok', found }
}

export function warn(check: string, found: string, remedy?: string): Finding {
  return { check, verdict: 'warn', found, remedy }
}

export function fail(check: string, found: string, remedy?: string): Finding {
  return { check, verdict: 'fail', found, remedy }
}
