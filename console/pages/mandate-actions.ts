import { useQueryClient } from '@tanstack/react-query'
import { answerOf, api, previewOf } from '../api/client'
import type { components } from '../api/schema'
import type { Question } from '../parts/confirm'
import type { RowAction } from '../parts/list'
import { receiptOf, tellDone } from '../parts/receipts'
import { useText } from '../texts/language'

type Mandate = components['schemas']['Mandate']

/** What can be done with a mandate as a whole. */
export function useMandateActions(ask: (question: Question) => void): (mandate: Mandate) => RowAction[] {
  const say = useText()
  const queries = useQueryClient()
  const done = async (text: string, answer: object) => {
    tellDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: ['mandates'] })
  }
  const setEnabled = (id: string, enabled: boolean, dryRun: '0' | '1') => answerOf(api.PATCH('/admin/mandates/{id}', { params: { path: { id }, query: { dryRun } }, body: { enabled } }))
  const remove = (id: string, dryRun: '0' | '1') => answerOf(api.DELETE('/admin/mandates/{id}', { params: { path: { id }, query: { dryRun } } }))
  return ({ id, label: name, enabled }) => [
    enabled
      ? { label: say('disable'), icon: 'cross', isDestructive: true, onChoose: () => ask({
        title: say('mandate.disable', { name }), hint: say('mandate.disable.hint'), action: say('disable'),
        preview: () => previewOf(setEnabled(id, false, '1')), onConfirm: async () => done(say('mandate.isDisabled', { name }), await setEnabled(id, false, '0')),
      }) }
      : { label: say('enable'), icon: 'check', onChoose: () => void setEnabled(id, true, '0').then((answer) => done(say('mandate.isEnabled', { name }), answer)) },
    { label: say('delete'), icon: 'trash', isDestructive: true, onChoose: () => ask({
      title: say('mandate.delete', { name }), hint: say('mandate.delete.hint'), action: say('delete'),
      preview: () => previewOf(remove(id, '1')), onConfirm: async () => done(say('mandate.deleted', { name }), await remove(id, '0')),
    }) },
  ]
}
