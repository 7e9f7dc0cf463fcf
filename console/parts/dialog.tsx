import { Modal, type ModalProps } from '@mantine/core'
import { useEffect, useState } from 'react'
import { useText } from '../texts/language'

/** Elements that close with the dialog: the focus does not return to them. */
const passing = '[role=menu], [role=listbox], [role=dialog]'
let lastFocused: HTMLElement | undefined
document.addEventListener('focusin', ({ target }) => {
  if (target instanceof HTMLElement && !target.closest(passing)) lastFocused = target
})

/**
 * Gives the focus to where it was, or to the page where that is gone, such as the menu of a row that was
 * deleted; unless something else has it.
 */
function giveBack(to: HTMLElement | undefined): void {
  if (document.activeElement !== document.body && document.activeElement !== null) return
  const place = to?.isConnected && to.getClientRects().length > 0 ? to : document.getElementById('content')
  place?.focus({ preventScroll: true })
}

/** A dialog. When it closes, the focus returns to where it was opened. */
export function Dialog(props: Omit<ModalProps, 'opened'>) {
  const say = useText()
  const [opener] = useState(() => lastFocused)
  useEffect(
    () => () => {
      requestAnimationFrame(() => requestAnimationFrame(() => giveBack(opener)))
    },
    [opener],
  )
  return <Modal opened returnFocus={false} closeButtonProps={{ 'aria-label': say('close') }} {...props} />
}
