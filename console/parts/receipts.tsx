import { CloseButton, Group, Text } from '@mantine/core'
import { useSyncExternalStore } from 'react'
import type { Coherence } from '../app/session'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { Icon } from './icons'

interface Receipt {
  id: number
  text: string
  coherence: Coherence | undefined
  isFault?: boolean
}

let receipts: readonly Receipt[] = []
let lastId = 0
const listeners = new Set<() => void>()
const shownMs = 9000

function replace(next: readonly Receipt[]): void {
  receipts = next
  for (const listener of listeners) listener()
}

const dismiss = (id: number) => replace(receipts.filter((one) => one.id !== id))

/** Returns the coherence receipt of a change, if it has one. */
export const receiptOf = (answer: object) =>
  'coherence' in answer ? (answer.coherence as Coherence) : undefined

/**
 * Says that something is done; with what the gateway's nodes had to say to it, where authority was taken
 * away.
 */
export function notifyDone(text: string, coherence?: Coherence): void {
  tell({ id: ++lastId, text, coherence })
}

/** Shows the error of an action that has no dialog of its own. */
export function tellFault(text: string): void {
  tell({ id: ++lastId, text, coherence: undefined, isFault: true })
}

function tell(receipt: Receipt): void {
  replace([...receipts.slice(-3), receipt])
  setTimeout(() => dismiss(receipt.id), shownMs)
}

function ReceiptNote({ receipt: { id, text, coherence, isFault } }: { receipt: Receipt }) {
  const say = useText()
  const { ms } = useFormat()
  return (
    <div className="card receipt">
      <Group wrap="nowrap" align="flex-start" gap="sm">
        <span className={isFault ? 'receipt-mark bad' : 'receipt-mark'}>
          <Icon name={isFault ? 'alert' : 'check'} size={14} />
        </span>
        <div className="grow">
          <Text size="sm" fw={550}>
            {text}
          </Text>
          {coherence && (
            <Text size="xs" c="dimmed">
              {say('receipt.title')}:{' '}
              {say('receipt.acked', {
                count: coherence.acked,
                ms: ms(coherence.waitedMs),
              })}
              {coherence.fenced > 0 && <>, {say('receipt.fenced', { count: coherence.fenced })}</>},{' '}
              {say('receipt.epoch', { epoch: coherence.epoch })}
            </Text>
          )}
        </div>
        <CloseButton size="sm" aria-label={say('close')} onClick={() => dismiss(id)} />
      </Group>
    </div>
  )
}

/** Shows the latest receipts for a few seconds. */
export function Receipts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => receipts,
  )
  return (
    <div className="receipts" role="status" aria-live="polite">
      {shown.map((one) => (
        <ReceiptNote key={one.id} receipt={one} />
      ))}
    </div>
  )
}
