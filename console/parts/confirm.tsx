import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { useText } from '../texts/language'
import { Effect, type Preview } from './effect'
import { FaultNote } from './fault'

export interface Question {
  title: string
  /** What will be so afterwards, and whether it can be undone. */
  hint: ReactNode
  /** What the button says: what is done. */
  action: string
  isHarmless?: boolean
  /** Finds out what would change, without changing it. */
  preview?: () => Promise<Preview>
  onConfirm: () => Promise<unknown>
}

/** Asks before what cannot simply be taken back, and says when it did not work. */
function ConfirmDialog({ question: { title, hint, action, isHarmless, preview, onConfirm }, onClose }: { question: Question; onClose: () => void }) {
  const say = useText()
  const tried = useQuery({ queryKey: ['preview', title], queryFn: preview ?? (() => null), enabled: preview !== undefined, gcTime: 0, staleTime: 0, retry: false })
  const run = useMutation({ mutationFn: onConfirm, onSuccess: onClose })
  return (
    <Modal opened onClose={onClose} title={title} size={preview ? 'lg' : 'md'} closeButtonProps={{ 'aria-label': say('close') }}>
      <Stack>
        <Text size="sm" component="div">{hint}</Text>
        {preview && <Effect tried={tried} />}
        {run.isError && <FaultNote error={run.error} />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>{say('cancel')}</Button>
          <Button {...(isHarmless ? {} : { color: 'red' })} loading={run.isPending} disabled={tried.isError} onClick={() => run.mutate()} data-autofocus>{action}</Button>
        </Group>
      </Stack>
    </Modal>
  )
}

/** A way to ask, and where the question is shown. */
export function useConfirm(): [ask: (question: Question) => void, dialog: ReactNode] {
  const [question, setQuestion] = useState<Question>()
  return [setQuestion, question ? <ConfirmDialog question={question} onClose={() => setQuestion(undefined)} /> : null]
}
