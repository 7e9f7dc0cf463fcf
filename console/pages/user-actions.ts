import { useQueryClient } from '@tanstack/react-query'
import { useSession } from '../app/session'
import { answerOf, edit, previewOf, unversioned } from '../api/client'
import type { components } from '../api/schema'
import type { Question } from '../parts/confirm'
import type { Action } from '../parts/actions'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'

type User = components['schemas']['ListedUser']
type Change = Partial<Pick<User, 'enabled' | 'isPlatformAdmin'>>
type DryRun = '0' | '1'
/** A question about a change of a user, and the message when it is done. */
type Wanted = Pick<Question, 'title' | 'hint' | 'action' | 'isHarmless'> & { body: Change; text: string }

/**
 * What can be done with a user, each with what it would change before it is done. `onLink` asks for a link by
 * which they set a password.
 */
export function useUserActions(
  ask: (question: Question) => void,
  onLink: (user: User) => void,
): (user: User) => Action[] {
  const say = useText()
  const queries = useQueryClient()
  const { user: me } = useSession()

  const done = async (text: string, answer: object) => {
    notifyDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: ['users'] })
  }
  const change = ({ id, ...seen }: User, body: Change, dryRun: DryRun) =>
    answerOf(edit(seen).PATCH('/admin/users/{id}', { params: { path: { id }, query: { dryRun } }, body }))
  const remove = ({ id, ...seen }: User, dryRun: DryRun) =>
    answerOf(edit(seen).DELETE('/admin/users/{id}', { params: { path: { id }, query: { dryRun } } }))
  const signOut = (id: string, dryRun: DryRun) =>
    answerOf(
      unversioned.DELETE('/admin/users/{id}/sessions', { params: { path: { id }, query: { dryRun } } }),
    )

  const askToChange = (user: User, { body, text, ...question }: Wanted) =>
    ask({
      ...question,
      preview: () => previewOf(change(user, body, '1')),
      onConfirm: async () => done(text, await change(user, body, '0')),
      redo: (now) => askToChange({ ...user, ...now }, { body, text, ...question }),
    })
  const askToRemove = (user: User) =>
    ask({
      title: say('user.delete', { name: user.username }),
      hint: say('user.delete.hint'),
      action: say('delete'),
      preview: () => previewOf(remove(user, '1')),
      onConfirm: async () => done(say('user.deleted', { name: user.username }), await remove(user, '0')),
      redo: (now) => askToRemove({ ...user, ...now }),
    })

  return (user) => {
    const { id, username: name } = user
    if (user.isSysAdmin && !me.isSysAdmin) return [] // only their own kind may
    const level: Action = user.isPlatformAdmin
      ? {
          label: say('user.ungrant'),
          icon: 'shield',
          onChoose: () =>
            askToChange(user, {
              title: `${say('user.ungrant')}: ${name}?`,
              hint: say('user.ungrant.hint'),
              action: say('user.ungrant'),
              body: { isPlatformAdmin: false },
              text: say('user.saved', { name }),
            }),
        }
      : {
          label: say('user.grant'),
          icon: 'shield',
          onChoose: () =>
            askToChange(user, {
              title: `${say('user.grant')}: ${name}?`,
              hint: say('user.grant.hint'),
              action: say('user.grant'),
              isHarmless: true,
              body: { isPlatformAdmin: true },
              text: say('user.saved', { name }),
            }),
        }
    return [
      ...(user.isServiceAccount
        ? []
        : [{ label: say('user.link.new'), icon: 'link' as const, onChoose: () => onLink(user) }]),
      {
        label: say('user.signOut'),
        icon: 'exit',
        onChoose: () =>
          ask({
            title: say('user.signOut.title', { name }),
            hint: say('user.signOut.hint'),
            action: say('user.signOut'),
            preview: () => previewOf(signOut(id, '1')),
            onConfirm: async () => done(say('user.signedOut', { name }), await signOut(id, '0')),
          }),
      },
      level,
      user.enabled
        ? {
            label: say('disable'),
            icon: 'cross',
            isDestructive: true,
            onChoose: () =>
              askToChange(user, {
                title: say('user.disable', { name }),
                hint: say('user.disable.hint'),
                action: say('disable'),
                body: { enabled: false },
                text: say('user.disabled', { name }),
              }),
          }
        : {
            label: say('enable'),
            icon: 'check',
            onChoose: () =>
              askToChange(user, {
                title: `${say('enable')}: ${name}?`,
                hint: '',
                action: say('enable'),
                isHarmless: true,
                body: { enabled: true },
                text: say('user.enabled', { name }),
              }),
          },
      { label: say('delete'), icon: 'trash', isDestructive: true, onChoose: () => askToRemove(user) },
    ]
  }
}
