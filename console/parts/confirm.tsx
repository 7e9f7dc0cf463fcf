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
  /** What will be so afterwards, and whether it can be undone. */
  hint: ReactNode
  /** What the button says: what is done. */
  action: string
  isHarmless?: boolean
  /** What must be typed first, where much goes for good. */
  typed?: string
  /** Finds out what would change, without changing it. */
  preview?: () => Promise<Preview>
  onConfirm: () => Promise<unknown>
  /** Asks again, or offers to edit again, about what somebody else has made of it meanwhile. */
  redo?: (now: Item) => void
  /** What an id stands for, where somebody else has changed it. */
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

/** A way to ask, and where the question is shown. */
export function useConfirm(): [ask: (question: Question) => void, dialog: ReactNode] {
  const [asked, setAsked] = useState<{ question?: Question; count: number }>({ count: 0 })
  const ask = (question: Question) => setAsked(({ count }) => ({ question, count: count + 1 }))
  const close = () => setAsked(({ count }) => ({ count }))
  return [
    ask,
    asked.question ? <ConfirmDialog key={asked.count} question={asked.question} onClose={close} /> : null,
  ]
}
