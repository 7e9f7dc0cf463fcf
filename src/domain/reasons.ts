import type { z } from 'zod'
import { fillIn, textsIn, type Language, type Locale } from './languages.js'
import type { Reason, TextValues } from './text-values.js'

/** The codes of all reasons: the keys of `reasons` in `locales/en.json`. */
export type ReasonCode = keyof Locale['reasons']

/** Returns the reason with a code. Its English text comes from `locales/en.json`. */
export const reason = (code: ReasonCode, values: TextValues = {}): Reason => ({
  code,
  values,
  text: fillIn(textsIn('en').reasons[code], values),
})

/** Returns the text of a reason in a language; undefined for a code without a text. */
export function reasonIn(
  { code, values }: Pick<Reason, 'code' | 'values'>,
  language: Language,
): string | undefined {
  const texts: Readonly<Record<string, string>> = textsIn(language).reasons
  const text = texts[code]
  return text === undefined ? undefined : fillIn(text, values, language)
}

/**
 * Returns the error of a zod check (`.regex(pattern, fieldError('slug'))`): its message is the English text
 * of a reason, and its issue carries the reason, which `reasonOf` returns.
 */
export function fieldError(code: ReasonCode, values: TextValues = {}) {
  const carried = reason(code, values)
  return {
    error: (issue: Record<string, unknown>) => {
      issue.params = carried
      return carried.text
    },
  }
}

type Kind = Pick<Reason, 'code' | 'values'>
const kind = (code: ReasonCode, values: TextValues = {}): Kind => ({ code, values })

const isReason = (value: unknown): value is Reason =>
  typeof value === 'object' && value !== null && 'code' in value && 'values' in value && 'text' in value

function tooSmall({ origin, minimum }: z.core.$ZodIssueTooSmall): Kind {
  const min = Number(minimum)
  if (origin === 'string') return min === 1 ? kind('empty') : kind('too_short', { min })
  return kind(origin === 'array' || origin === 'set' ? 'too_few' : 'too_low', { min })
}

function tooBig({ origin, maximum }: z.core.$ZodIssueTooBig): Kind {
  const max = Number(maximum)
  if (origin === 'string') return kind('too_long', { max })
  return kind(origin === 'array' || origin === 'set' ? 'too_many' : 'too_high', { max })
}

/** Returns why zod refuses a field: the reason that its check names, else one by the kind of the issue. */
export function reasonOf(issue: z.core.$ZodIssue): Kind {
  if ('params' in issue && isReason(issue.params)) return issue.params
  switch (issue.code) {
    case 'too_small':
      return tooSmall(issue)
    case 'too_big':
      return tooBig(issue)
    case 'invalid_value':
      return kind('choice', { choices: issue.values.map(String) })
    case 'invalid_type':
      return kind('wrong_type')
    case 'unrecognized_keys':
      return kind('unknown_fields', { names: issue.keys.join(', ') })
    case 'invalid_format':
      return kind(issue.format === 'uuid' ? 'uuid' : issue.format === 'email' ? 'email' : 'invalid')
    default:
      return kind('invalid')
  }
}
