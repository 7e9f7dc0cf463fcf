import { Alert, Button, Group, Stack, Text } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useCallback, useRef, useState, type ReactNode, type SyntheticEvent } from 'react'
import { ChangedError, type Item } from '../api/as-seen'
import { useText } from '../texts/language'
import { ChangedNote } from './changed'
import { Dialog } from './dialog'
import { FaultNote } from './fault'
import { useUnsaved } from './unsaved'

interface Props {
  title: string
  /** The label of the button: the action. */
  action: string
  onSubmit: () => Promise<unknown>
  onClose: () => void
  /** Loads somebody else's changes and keeps what is filled in here on top. */
  onTakeOver?: (now: Item) => void
  /** Whether that was done before the form was opened. */
  isTakenOver?: boolean
  children: ReactNode
}

/**
 * What the fields hold. A list's own text field is left out: it holds what is searched for, or the name of
 * what was chosen.
 */
const contentOf = (form: HTMLFormElement) =>
  JSON.stringify(
    [...form.querySelectorAll<HTMLInputElement>('input, textarea, select')]
      .filter((field) => field.getAttribute('aria-haspopup') !== 'listbox')
      .map((field) => (field.type === 'checkbox' ? field.checked : field.value)),
  )

/** Returns whether a field has changed since the form was opened. */
function useFilledIn() {
  const opened = useRef<{ form: HTMLFormElement; before: string }>(undefined)
  const form = useCallback((shown: HTMLFormElement | null) => {
    // the dialog shows it a moment later
    opened.current = shown ? { form: shown, before: contentOf(shown) } : undefined
  }, [])
  return {
    form,
    isFilledIn: () =>
      opened.current !== undefined && contentOf(opened.current.form) !== opened.current.before,
  }
}

/**
 * A few fields, filled in and sent at once. What was typed stays where sending does not work, and is not
 * closed away unasked.
 */
export function FormDialog({
  title,
  action,
  onSubmit,
  onClose,
  onTakeOver,
  isTakenOver = false,
  children,
}: Props) {
  const say = useText()
  const { form, isFilledIn } = useFilledIn()
  const [isLeaving, setLeaving] = useState(false)
  const [hasTakenOver, setTakenOver] = useState(isTakenOver)
  const run = useMutation({ mutationFn: onSubmit, onSuccess: onClose })
  useUnsaved(() => !run.isPending && isFilledIn()) // what is being sent is on its way
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    event.stopPropagation()
    run.mutate()
  }
  const takeOver = (now: Item) => {
    onTakeOver?.(now)
    setTakenOver(true)
    run.reset()
  }
  const changed = run.error instanceof ChangedError ? run.error : undefined
  return (
    <Dialog
      onClose={() => {
        if (isFilledIn()) setLeaving(true)
        else onClose()
      }}
      title={title}
    >
      <form onSubmit={submit} ref={form}>
        <Stack gap="sm">
          {hasTakenOver && !run.isError && (
            <Alert color="yellow" variant="light" role="status">
              {say('changed.takenOver')}
            </Alert>
          )}
          {children}
          {changed ? <ChangedNote error={changed} /> : run.isError && <FaultNote error={run.error} />}
          {isLeaving ? (
            <Group justify="flex-end" gap="xs" mt="xs" role="alert">
              <Text size="sm" w="100%" ta="right">
                {say('unsaved.form')}
              </Text>
              <Button variant="default" onClick={() => setLeaving(false)} autoFocus>
                {say('unsaved.form.stay')}
              </Button>
              <Button color="red.9" onClick={onClose}>
                {say('unsaved.form.discard')}
              </Button>
            </Group>
          ) : (
            <Group justify="flex-end" gap="xs" mt="xs">
              <Button variant="default" onClick={onClose}>
                {say('cancel')}
              </Button>
              {changed && onTakeOver ? (
                <Button key="redo" onClick={() => takeOver(changed.current)}>
                  {say('changed.redo')}
                </Button>
              ) : (
                <Button key="submit" type="submit" loading={run.isPending}>
                  {action}
                </Button>
              )}
            </Group>
          )}
        </Stack>
      </form>
    </Dialog>
  )
}
