import { useState } from 'react'
import { rebased, type Item } from '../api/as-seen'

interface Edited<Thing, Fields> {
  /** The item as it was when what is filled in was begun: what a change of it is sent with. */
  seen: Thing
  fields: Fields
  set: (change: Partial<Fields>) => void
  /** Puts what is filled in on top of what somebody else has saved meanwhile. */
  takeOver: (now: Item) => void
}

/** Fields of an item that are being filled in. */
export function useEdited<Thing extends object | undefined, Fields extends object>(
  item: Thing,
  fieldsOf: (item: Thing) => Fields,
): Edited<Thing, Fields> {
  const [state, setState] = useState(() => ({ seen: item, fields: fieldsOf(item) }))
  return {
    ...state,
    set: (change) => setState(({ seen, fields }) => ({ seen, fields: { ...fields, ...change } })),
    takeOver: (now) =>
      setState(({ seen, fields }) => {
        const current = { ...seen, ...now }
        return { seen: current, fields: rebased(fieldsOf(seen), fields, fieldsOf(current)) }
      }),
  }
}
