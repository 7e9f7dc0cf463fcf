import { Button, Group, Stack, Text } from '@mantine/core'
import { useText } from '../texts/language'
import { Dialog } from './dialog'
import { useLeaving } from './unsaved'

/** Asks before a page with unsaved changes is left. */
export function LeaveDialog() {
  const say = useText()
  const { isAsked, stay, goOn } = useLeaving()
  if (!isAsked) return null
  return (
    <Dialog onClose={stay} title={say('unsaved')}>
      <Stack>
        <Text size="sm">{say('unsaved.hint')}</Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={stay} data-autofocus>
            {say('unsaved.stay')}
          </Button>
          <Button color="red.9" onClick={goOn}>
            {say('unsaved.leave')}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  )
}
