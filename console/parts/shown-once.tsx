import { Button, Group, Stack, Text } from '@mantine/core'
import type { ReactNode } from 'react'
import { useText } from '../texts/language'
import { Code } from './code'
import { Dialog } from './dialog'
import { useUnsaved } from './unsaved'

interface Props {
  title: string
  hint: ReactNode
  value: string
  /** A command that uses it. */
  usage?: string | undefined
  onClose: () => void
}

/**
 * A secret or link that is seen this once. It goes only by the button: not by Esc, by a click beside it, or
 * with the page unasked.
 */
export function ShownOnce({ title, hint, value, usage, onClose }: Props) {
  const say = useText()
  useUnsaved(() => true)
  return (
    <Dialog
      onClose={onClose}
      title={title}
      size="lg"
      closeOnClickOutside={false}
      closeOnEscape={false}
      withCloseButton={false}
    >
      <Stack gap="sm">
        <Text size="sm">{hint}</Text>
        <Code text={value} />
        {usage && (
          <>
            <Text size="sm" fw={500}>
              {say('credential.use')}
            </Text>
            <Code text={usage} />
          </>
        )}
        <Group justify="flex-end">
          <Button onClick={onClose}>{say('credential.kept')}</Button>
        </Group>
      </Stack>
    </Dialog>
  )
}
