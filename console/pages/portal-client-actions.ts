import { useQueryClient } from '@tanstack/react-query'
import { answerOf, edit } from '../api/client'
import type { Question } from '../parts/confirm'
import type { Action } from '../parts/actions'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'
import { usePortalKey, type PortalClient } from './portal-queries'

/** Returns the actions of a client of the portal. */
export function usePortalClientActions(
  ask: (question: Question) => void,
  onRemoved: () => void = () => undefined,
): (client: PortalClient) => Action[] {
  const say = useText()
  const queries = useQueryClient()
  const key = usePortalKey()
  const done = async (text: string, answer: object) => {
    notifyDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: key })
  }
  const setActive = ({ id, ...seen }: PortalClient, active: boolean) =>
    answerOf(edit(seen).PATCH('/mandate/portal-clients/{id}', { params: { path: { id } }, body: { active } }))
  const remove = async ({ id, ...seen }: PortalClient) => {
    const answer = await answerOf(
      edit(seen).DELETE('/mandate/portal-clients/{id}', { params: { path: { id } } }),
    )
    onRemoved()
    await done(say('portalClient.deleted', { name: seen.name }), answer)
  }
  const askToSetActive = (client: PortalClient, active: boolean) => {
    const { name } = client
    ask({
      ...(active
        ? { title: `${say('enable')}: ${name}?`, hint: '', action: say('enable'), isHarmless: true }
        : {
            title: say('portalClient.disable', { name }),
            hint: say('portalClient.disable.hint'),
            action: say('disable'),
          }),
      onConfirm: async () =>
        done(
          say(active ? 'portalClient.isActive' : 'portalClient.isInactive', { name }),
          await setActive(client, active),
        ),
      redo: (now) => askToSetActive({ ...client, ...now }, active),
    })
  }
  const askToRemove = (client: PortalClient) =>
    ask({
      title: say('portalClient.delete', { name: client.name }),
      hint: say('portalClient.delete.hint'),
      action: say('delete'),
      onConfirm: () => remove(client),
      redo: (now) => askToRemove({ ...client, ...now }),
    })
  return (client) => [
    client.active
      ? {
          label: say('disable'),
          icon: 'cross',
          isDestructive: true,
          onChoose: () => askToSetActive(client, false),
        }
      : { label: say('enable'), icon: 'check', onChoose: () => askToSetActive(client, true) },
    { label: say('delete'), icon: 'trash', isDestructive: true, onChoose: () => askToRemove(client) },
  ]
}
