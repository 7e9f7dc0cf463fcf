import { useQueryClient } from '@tanstack/react-query'
import { answerOf, api } from '../api/client'
import type { Question } from '../parts/confirm'
import type { RowAction } from '../parts/list'
import { receiptOf, tellDone } from '../parts/receipts'
import { useText } from '../texts/language'
import { usePortalKey, type PortalClient } from './portal-queries'

/** What can be done with a client of the portal as a whole. */
export function usePortalClientActions(ask: (question: Question) => void, onRemoved: () => void = () => undefined): (client: PortalClient) => RowAction[] {
  const say = useText()
  const queries = useQueryClient()
  const key = usePortalKey()
  const done = async (text: string, answer: object) => {
    tellDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: key })
  }
  const setActive = (id: string, active: boolean) => answerOf(api.PATCH('/mandate/portal-clients/{id}', { params: { path: { id } }, body: { active } }))
  const remove = async ({ id, name }: PortalClient) => {
    const answer = await answerOf(api.DELETE('/mandate/portal-clients/{id}', { params: { path: { id } } }))
    onRemoved()
    await done(say('portalClient.deleted', { name }), answer)
  }
  return (client) => {
    const { id, name, active } = client
    return [
      active
        ? { label: say('disable'), icon: 'cross', isDestructive: true, onChoose: () => ask({
          title: say('portalClient.disable', { name }), hint: say('portalClient.disable.hint'), action: say('disable'),
          onConfirm: async () => done(say('portalClient.isInactive', { name }), await setActive(id, false)),
        }) }
        : { label: say('enable'), icon: 'check', onChoose: () => void setActive(id, true).then((answer) => done(say('portalClient.isActive', { name }), answer)) },
      { label: say('delete'), icon: 'trash', isDestructive: true, onChoose: () => ask({
        title: say('portalClient.delete', { name }), hint: say('portalClient.delete.hint'), action: say('delete'), onConfirm: () => remove(client),
      }) },
    ]
  }
}
