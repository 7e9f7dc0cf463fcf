import { Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { ChangedError, type Item } from '../api/as-seen'
import { useText } from '../texts/language'
import { ChangedNote } from './changed'
import { Dialog } from './dialog'
import { Effect, type Preview } from './effect'
import { FaultNote } from './fault'

export interface Question {
  title: string
  /** The effect, and whether it can be undone. */
  hint: ReactNode
  /** The label of the button: the action. */
  action: string
  isHarmless?: boolean
  /** The text that must be typed first, where the action deletes much for good. */
  typed?: string
  /** Returns the dry run of the change. */
  preview?: () => Promise<Preview>
  onConfirm: () => Promise<unknown>
  /** Asks again about the item as somebody else has changed it. */
  redo?: (now: Item) => void
  /** Names an id in the list of what somebody else has changed. */
  nameOf?: (id: string) => string
}

/**
 * Asks before what cannot simply be taken back, and says when it did not work. What destroys is never what
 * Enter does.
 */
function ConfirmDialog({ question, onClose }: { question: Question; onClose: () => void }) {
  const { title, hint, action, isHarmless = false, typed, preview, onConfirm, redo, nameOf } = question
  const say = useText()
  const [text, setText] = useState('')
  const tried = useQuery({
    queryKey: ['preview', title],
    queryFn: preview ?? (() => null),
    enabled: preview !== undefined,
    gcTime: 0,
    staleTime: 0,
    retry: false,
    refetchInterval: false,
    refetchOnWindowFocus: false,
  })
  const run = useMutation({ mutationFn: onConfirm, onSuccess: onClose })
  const changed = [run.error, tried.error].find((error) => error instanceof ChangedError)
  const isReady = (preview === undefined || tried.isSuccess) && (typed === undefined || text.trim() === typed)
  const startOver = () => {
    onClose()
    if (changed) redo?.(changed.current)
  }
  return (
    <Dialog onClose={onClose} title={title} size={preview ? 'lg' : 'md'}>
      <Stack>
        <Text size="sm" component="div">
          {hint}
        </Text>
        {changed ? <ChangedNote error={changed} nameOf={nameOf} /> : preview && <Effect tried={tried} />}
        {run.isError && !changed && <FaultNote error={run.error} />}
        {typed !== undefined && !changed && (
          <TextInput
            label={say('confirm.type', { name: typed })}
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
            autoComplete="off"
            spellCheck={false}
          />
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose} data-autofocus={!isHarmless || undefined}>
            {say('cancel')}
          </Button>
          {changed ? (
            redo && <Button onClick={startOver}>{say('changed.redo')}</Button>
          ) : (
            <Button
              {...(isHarmless ? { 'data-autofocus': true } : { color: 'red.9' })}
              loading={run.isPending}
              disabled={!isReady}
              onClick={() => run.mutate()}
            >
              {action}
            </Button>
          )}
        </Group>
      </Stack>
    </Dialog>
  )
}

/** Returns a function that asks for confirmation, and the dialog to render. */
export function useConfirm(): [ask: (question: Question) => void, dialog: ReactNode] {
  const [asked, setAsked] = useState<{ question?: Question; count: number }>({ count: 0 })
  const ask = (question: Question) => setAsked(({ count }) => ({ question, count: count + 1 }))
  const close = () => setAsked(({ count }) => ({ count }))
  return [
    ask,
    asked.question ? <ConfirmDialog key={asked.count} question={asked.question} onClose={close} /> : null,
  ]
}
