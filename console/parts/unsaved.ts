import { useEffect, useRef, useSyncExternalStore } from 'react'

/** Each form on the page, by a function that returns whether it has unsaved changes. */
const forms = new Set<() => boolean>()
const listeners = new Set<() => void>()
let waiting: (() => void) | undefined

const isAnythingUnsaved = () => [...forms].some((isDirty) => isDirty())

function wait(go: (() => void) | undefined): void {
  waiting = go
  for (const listener of listeners) listener()
}

/** Asks before the page is left while `isDirty()`. */
export function useUnsaved(isDirty: () => boolean): void {
  const latest = useRef(isDirty)
  latest.current = isDirty
  useEffect(() => {
    const form = () => latest.current()
    forms.add(form)
    return () => {
      forms.delete(form)
    }
  }, [])
}

/** Leaves the page: at once, or once the user has agreed to lose unsaved changes. */
export function leave(go: () => void): void {
  if (isAnythingUnsaved()) wait(go)
  else go()
}

/** The navigation that waits for the user's decision, and how to answer it. */
export function useLeaving(): { isAsked: boolean; stay: () => void; goOn: () => void } {
  const go = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    () => waiting,
  )
  return {
    isAsked: go !== undefined,
    stay: () => wait(undefined),
    goOn: () => {
      forms.clear()
      wait(undefined)
      go?.()
    },
  }
}

/**
 * Asks before the browser closes the page, reloads it, or goes back in its history. To be called before the
 * router begins to listen: who listens first hears first.
 */
export function guardPage(): void {
  let here = window.location.href
  const onMove = () => {
    here = window.location.href
  }
  window.addEventListener('beforeunload', (event) => {
    if (isAnythingUnsaved()) event.preventDefault()
  })
  window.addEventListener('popstate', (event) => {
    if (!isAnythingUnsaved()) {
      onMove()
      return
    }
    event.stopImmediatePropagation()
    window.history.pushState(null, '', here)
    wait(() => window.history.back())
  })
  // which the router makes events of
  for (const move of ['pushState', 'replaceState']) window.addEventListener(move, onMove)
}
