/**
 * What a check found: `fault`, a gateway will not work as it should; `warning`, it works, and somebody should
 * know.
 */
export interface Finding {
  check: string
  level: 'ok' | 'warning' | 'fault'
  says: string
  /** What to do about it. */
  todo?: string
}

export const ok = (check: string, says: string): Finding => ({ check, level: 'ok', says })
export const warning = (check: string, says: string, todo: string): Finding => ({
  check,
  level: 'warning',
  says,
  todo,
})
export const fault = (check: string, says: string, todo: string): Finding => ({
  check,
  level: 'fault',
  says,
  todo,
})

/** An error's own words, without what a library puts before them. */
export function wordsOf(error: unknown): string {
  if (error instanceof AggregateError) return wordsOf(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  return error.message || ('code' in error ? String(error.code) : error.name)
}
