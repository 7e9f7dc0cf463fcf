import { useState } from 'react'
import { rebased, type Item } from '../api/as-seen'

interface Edited<Thing, Fields> {
  /** The item as it was when editing began: the state that a change refers to. */
  seen: Thing
  fields: Fields
  set: (change: Partial<Fields>) => void
  /** Applies what is filled in to the item as somebody else has saved it. */
  takeOver: (now: Item) => void
}

/** Returns the state of a form that edits an item. */
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
