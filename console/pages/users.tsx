import { useQueryClient } from '@tanstack/react-query'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, tellDone } from '../parts/receipts'
import { EnabledState } from '../parts/state'
import { useText } from '../texts/language'

type User = components['schemas']['ListedUser']

/** Users of the whole platform. */
export function Users() {
  const say = useText()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const setEnabled = async ({ id, username }: User, enabled: boolean) => {
    const answer = await answerOf(api.PATCH('/admin/users/{id}', { params: { path: { id } }, body: { enabled } }))
    tellDone(say(enabled ? 'user.enabled' : 'user.disabled', { name: username }), receiptOf(answer))
    await queries.invalidateQueries({ queryKey: ['users'] })
  }
  const levelOf = (user: User) => user.isSysAdmin ? say('level.sysAdmin') : user.isPlatformAdmin ? say('level.platformAdmin') : ''
  return (
    <>
      <PageHead title={say('users')} hint={say('users.hint')} />
      <List<User>
        label={say('users')} queryKey={['users']} idOf={(user) => user.id} nameOf={(user) => user.username}
        load={(query) => answerOf(api.GET('/admin/users', { params: { query } }))}
        search={(user) => `${user.username} ${user.fullName ?? ''} ${user.email ?? ''}`}
        empty={{ icon: 'users', title: say('users.empty'), hint: say('users.empty.hint') }}
        columns={[
          { key: 'name', title: say('user'), sortBy: (user) => user.username, show: (user) => <><b>{user.username}</b><span className="sub">{user.fullName}</span></> },
          { key: 'email', title: say('user.email'), sortBy: (user) => user.email, isSecondary: true, show: (user) => user.email },
          { key: 'level', title: say('user.level'), sortBy: levelOf, isSecondary: true, show: levelOf },
          { key: 'state', title: say('state'), sortBy: (user) => Number(user.enabled), show: (user) => <EnabledState enabled={user.enabled} /> },
        ]}
        actionsOf={(user) => [user.enabled
          ? { label: say('disable'), icon: 'cross', isDestructive: true, onChoose: () => ask({ title: say('user.disable', { name: user.username }), hint: say('user.disable.hint'), action: say('disable'), onConfirm: () => setEnabled(user, false) }) }
          : { label: say('enable'), icon: 'check', onChoose: () => void setEnabled(user, true) }]}
      />
      {dialog}
    </>
  )
}
