import { problemOf, ProblemError } from '../../packages/client/src/index'

/** An item by the names of its fields. */
export type Item = Record<string, unknown>

/** Somebody else has changed the item since it was loaded. Nothing was saved. */
export class ChangedError extends Error {
  constructor(
    readonly seen: Item,
    readonly current: Item,
  ) {
    super('changed meanwhile')
    this.name = 'ChangedError'
  }
}

/** Returns a value with its lists in one order: they are sets, such as the roles of a member. */
const ordered = (value: unknown): unknown =>
  Array.isArray(value) ? value.map((one) => JSON.stringify(one)).sort() : value
const isSame = (one: unknown, other: unknown) =>
  JSON.stringify(ordered(one)) === JSON.stringify(ordered(other))

/** Returns the fields that both have and that differ. */
export const differences = ({ seen, current }: Pick<ChangedError, 'seen' | 'current'>): string[] =>
  Object.keys(seen).filter((field) => field in current && !isSame(seen[field], current[field]))

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')

/**
 * A set as somebody has changed it, on top of what it is now: with what they added, without what they took
 * away.
 */
const rebasedSet = (before: string[], filledIn: string[], now: string[]): string[] => [
  ...new Set([
    ...now.filter((one) => filledIn.includes(one) || !before.includes(one)),
    ...filledIn.filter((one) => !before.includes(one)),
  ]),
]

/**
 * What somebody has filled in, on top of what somebody else has saved meanwhile: fields that were left alone
 * become what they are now.
 */
export function rebased<Fields extends object>(before: Fields, filledIn: Fields, now: Fields): Fields {
  const merge = <Name extends keyof Fields>(name: Name): [Name, unknown] => {
    const [old, wanted, current] = [before[name], filledIn[name], now[name]]
    if (isTexts(old) && isTexts(wanted) && isTexts(current)) return [name, rebasedSet(old, wanted, current)]
    return [name, isSame(old, wanted) ? current : wanted]
  }
  return Object.fromEntries((Object.keys(filledIn) as (keyof Fields)[]).map(merge)) as Fields
}

interface Current {
  item: Item
  /** The validator that a change sends in `If-Match` (RFC 9110 §13.1.1). */
  tag: string
}

async function readItem(send: typeof fetch, url: string): Promise<Current> {
  const response = await send(url)
  if (!response.ok) throw new ProblemError(await problemOf(response))
  return { item: (await response.json()) as Item, tag: response.headers.get('ETag') ?? '' }
}

/**
 * A `fetch` for changes of an item as it was seen: reads the item, and sends `If-Match` with the tag of
 * exactly that. Rejects with a `ChangedError` where the item is another by now, or becomes another in
 * between, and with a `ProblemError` where it cannot be read.
 */
export function fetchAsSeen(send: typeof fetch, seen: object): typeof fetch {
  const before: Item = { ...seen }
  return async (input, init) => {
    const request = new Request(input, init)
    const { origin, pathname } = new URL(request.url)
    const { item, tag } = await readItem(send, origin + pathname)
    const error = new ChangedError(before, item)
    if (differences(error).length > 0) throw error
    request.headers.set('If-Match', tag)
    const response = await send(request)
    if (response.status !== 412) return response
    throw new ChangedError(before, (await readItem(send, origin + pathname)).item)
  }
}
