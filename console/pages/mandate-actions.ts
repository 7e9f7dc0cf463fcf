import { useQueryClient } from '@tanstack/react-query'
import { answerOf, edit, previewOf } from '../api/client'
import type { components } from '../api/schema'
import type { Question } from '../parts/confirm'
import type { Action } from '../parts/actions'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'

type Mandate = components['schemas']['Mandate']

/** Returns the actions of a mandate. */
export function useMandateActions(ask: (question: Question) => void): (mandate: Mandate) => Action[] {
  const say = useText()
  const queries = useQueryClient()
  const done = async (text: string, answer: object) => {
    notifyDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: ['mandates'] })
  }
  const setEnabled = ({ id, ...seen }: Mandate, enabled: boolean, dryRun: '0' | '1') =>
    answerOf(
      edit(seen).PATCH('/admin/mandates/{id}', {
        params: { path: { id }, query: { dryRun } },
        body: { enabled },
      }),
    )
  const remove = ({ id, ...seen }: Mandate, dryRun: '0' | '1') =>
    answerOf(edit(seen).DELETE('/admin/mandates/{id}', { params: { path: { id }, query: { dryRun } } }))
  const askToDisable = (mandate: Mandate) =>
    ask({
      title: say('mandate.disable', { name: mandate.label }),
      hint: say('mandate.disable.hint'),
      action: say('disable'),
      preview: () => previewOf(setEnabled(mandate, false, '1')),
      onConfirm: async () =>
        done(say('mandate.isDisabled', { name: mandate.label }), await setEnabled(mandate, false, '0')),
      redo: (now) => askToDisable({ ...mandate, ...now }),
    })
  const askToEnable = (mandate: Mandate) =>
    ask({
      title: `${say('enable')}: ${mandate.label}?`,
      hint: '',
      action: say('enable'),
      isHarmless: true,
      preview: () => previewOf(setEnabled(mandate, true, '1')),
      onConfirm: async () =>
        done(say('mandate.isEnabled', { name: mandate.label }), await setEnabled(mandate, true, '0')),
      redo: (now) => askToEnable({ ...mandate, ...now }),
    })
  const askToRemove = (mandate: Mandate) =>
    ask({
      title: say('mandate.delete', { name: mandate.label }),
      hint: say('mandate.delete.hint'),
      action: say('delete'),
      typed: mandate.slug,
      preview: () => previewOf(remove(mandate, '1')),
      onConfirm: async () =>
        done(say('mandate.deleted', { name: mandate.label }), await remove(mandate, '0')),
      redo: (now) => askToRemove({ ...mandate, ...now }),
    })
  return (mandate) => [
    mandate.enabled
      ? { label: say('disable'), icon: 'cross', isDestructive: true, onChoose: () => askToDisable(mandate) }
      : { label: say('enable'), icon: 'check', onChoose: () => askToEnable(mandate) },
    { label: say('delete'), icon: 'trash', isDestructive: true, onChoose: () => askToRemove(mandate) },
  ]
}
