import { useQueryClient } from '@tanstack/react-query'
import { useSession } from '../app/session'
import { answerOf, api, previewOf } from '../api/client'
import type { components } from '../api/schema'
import type { Question } from '../parts/confirm'
import type { RowAction } from '../parts/list'
import { receiptOf, tellDone } from '../parts/receipts'
import { useText } from '../texts/language'

type User = components['schemas']['ListedUser']
type Change = Partial<Pick<User, 'enabled' | 'isPlatformAdmin'>>

/** What can be done with a user, each with what it would change before it is done. */
export function useUserActions(ask: (question: Question) => void): (user: User) => RowAction[] {
  const say = useText()
  const queries = useQueryClient()
  const { user: me } = useSession()

  const done = async (text: string, answer: object) => {
    tellDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: ['users'] })
  }
  const change = (id: string, body: Change, dryRun: '0' | '1') => answerOf(api.PATCH('/admin/users/{id}', { params: { path: { id }, query: { dryRun } }, body }))
  const remove = (id: string, dryRun: '0' | '1') => answerOf(api.DELETE('/admin/users/{id}', { params: { path: { id }, query: { dryRun } } }))
  const signOut = (id: string, dryRun: '0' | '1') => answerOf(api.DELETE('/admin/users/{id}/sessions', { params: { path: { id }, query: { dryRun } } }))

  return (user) => {
    const { id, username: name } = user
    const asksToChange = (title: string, hint: string, action: string, body: Change, text: string, isHarmless = false) => ask({
      title, hint, action, isHarmless, preview: () => previewOf(change(id, body, '1')), onConfirm: async () => done(text, await change(id, body, '0')),
    })
    if (user.isSysAdmin && !me.isSysAdmin) return [] // only their own kind may
    const level: RowAction = user.isPlatformAdmin
      ? { label: say('user.ungrant'), icon: 'shield', onChoose: () => asksToChange(`${say('user.ungrant')}: ${name}?`, say('user.ungrant.hint'), say('user.ungrant'), { isPlatformAdmin: false }, say('user.saved', { name })) }
      : { label: say('user.grant'), icon: 'shield', onChoose: () => asksToChange(`${say('user.grant')}: ${name}?`, say('user.grant.hint'), say('user.grant'), { isPlatformAdmin: true }, say('user.saved', { name }), true) }
    return [
      { label: say('user.signOut'), icon: 'exit', onChoose: () => ask({
        title: say('user.signOut.title', { name }), hint: say('user.signOut.hint'), action: say('user.signOut'),
        preview: () => previewOf(signOut(id, '1')), onConfirm: async () => done(say('user.signedOut', { name }), await signOut(id, '0')),
      }) },
      level,
      user.enabled
        ? { label: say('disable'), icon: 'cross', isDestructive: true, onChoose: () => asksToChange(say('user.disable', { name }), say('user.disable.hint'), say('disable'), { enabled: false }, say('user.disabled', { name })) }
        : { label: say('enable'), icon: 'check', onChoose: () => void change(id, { enabled: true }, '0').then((answer) => done(say('user.enabled', { name }), answer)) },
      { label: say('delete'), icon: 'trash', isDestructive: true, onChoose: () => ask({
        title: say('user.delete', { name }), hint: say('user.delete.hint'), action: say('delete'),
        preview: () => previewOf(remove(id, '1')), onConfirm: async () => done(say('user.deleted', { name }), await remove(id, '0')),
      }) },
    ]
  }
}
