import { Button, Group, Modal, Stack } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import type { ReactNode, SyntheticEvent } from 'react'
import { useText } from '../texts/language'
import { FaultNote } from './fault'

interface Props {
  title: string
  /** What the button says: what is done. */
  action: string
  onSubmit: () => Promise<unknown>
  onClose: () => void
  children: ReactNode
}

/** A few fields, filled in and sent at once. What was typed stays where sending does not work. */
export function FormDialog({ title, action, onSubmit, onClose, children }: Props) {
  const say = useText()
  const run = useMutation({ mutationFn: onSubmit, onSuccess: onClose })
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    run.mutate()
  }
  return (
    <Modal opened onClose={onClose} title={title} closeButtonProps={{ 'aria-label': say('close') }}>
      <form onSubmit={submit}>
        <Stack gap="sm">
          {children}
          {run.isError && <FaultNote error={run.error} />}
          <Group justify="flex-end" gap="xs" mt="xs">
            <Button variant="default" onClick={onClose}>{say('cancel')}</Button>
            <Button type="submit" loading={run.isPending}>{action}</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
