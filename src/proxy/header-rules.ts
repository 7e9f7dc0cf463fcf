import { z } from 'zod'
import { isReservedOnRequests, type foldName } from './header-names.js'
import { isReservedOnResponses } from './response-headers.js'

const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/, 'must be the name of a header (RFC 9110 §5.1)')
const headerValue = z
  .string()
  .max(4096)
  .regex(/^(?:[!-~](?:[ -~\t]*[!-~])?)?$/, 'must be printable ASCII without blanks around it')

const notReserved = (isReserved: (name: string) => boolean) =>
  headerName.refine((name) => !isReserved(name), {
    error: ({ input }) => `cannot hold ${String(input)}: the gateway writes it, or answers for it`,
  })

const rules = (isReserved: (name: string) => boolean) =>
  z.strictObject({
    set: z.record(notReserved(isReserved), headerValue).default({}),
    remove: z.array(notReserved(isReserved)).default([]),
  })

/** Rules for request headers on their way to an upstream. */
export const requestHeaderRules = rules(isReservedOnRequests)
/** Rules for the headers of an upstream's responses. */
export const responseHeaderRules = rules(isReservedOnResponses)

/** Headers of clients that an operator knows some service to believe. */
export const droppedHeaders = z.array(notReserved(isReservedOnRequests))

/**
 * Headers that pages of other origins may read; not cookies (Fetch §"CORS-safelisted response-header name").
 */
export const exposedHeaders = z
  .array(
    headerName.refine(
      (name) => !/^set-cookie2?$/i.test(name),
      'cannot hold Set-Cookie: no browser shows it to a page',
    ),
  )
  .min(1, 'must name at least one header')

export type HeaderRules = z.infer<typeof requestHeaderRules>

/** Rules as a request needs them. */
export interface CompiledRules {
  /**
   * Names that are left out: removed ones, and those that are set anew. They are folded (requests) or in
   * lower case (responses).
   */
  dropped: ReadonlySet<string>
  /** Names and values, in turn. */
  added: readonly string[]
}

/**
 * Merges the rules of an upstream and of one of its routes. The route's rules replace the upstream's. Headers
 * are set before others are removed.
 */
export function compileRules(fold: typeof foldName, ...all: (HeaderRules | undefined)[]): CompiledRules {
  const added = new Map<string, [string, string]>()
  const dropped = new Set<string>()
  for (const { set, remove } of all.filter((one) => one !== undefined)) {
    for (const name of remove) {
      dropped.add(fold(name))
      added.delete(fold(name))
    }
    for (const [name, value] of Object.entries(set)) added.set(fold(name), [name, value])
  }
  for (const name of added.keys()) dropped.add(name)
  return { dropped, added: [...added.values()].flat() }
}

/** The headers of rules. They have names only: a value may be a secret of the service. */
export interface RuleNames {
  set: string[]
  removed: string[]
}

/**
 * Returns the headers that the rules of an upstream and of one of its routes set and remove; undefined
 * without rules.
 */
export function ruleNames(...rules: (HeaderRules | undefined)[]): RuleNames | undefined {
  const given = rules.filter((one) => one !== undefined)
  const compiled = compileRules((name) => name.toLowerCase(), ...given)
  const set = compiled.added.filter((_, index) => index % 2 === 0)
  const isSet = new Set(set.map((name) => name.toLowerCase()))
  return given.length === 0
    ? undefined
    : { set, removed: [...compiled.dropped].filter((name) => !isSet.has(name)) }
}
