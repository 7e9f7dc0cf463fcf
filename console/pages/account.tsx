import { Button, Group, PasswordInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api, unversioned } from '../api/client'
import { useSession } from '../app/session'
import { useConfirm } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'
import { Identities } from './identities'
import { useSessionColumns } from './session-columns'

function ChangePassword({ onClose }: { onClose: () => void }) {
  const say = useText()
  const [currentPassword, setCurrent] = useState('')
  const [newPassword, setNew] = useState('')
  const change = async () => {
    notifyDone(
      say('password.changed'),
      receiptOf(await answerOf(api.POST('/auth/password', { body: { currentPassword, newPassword } }))),
    )
  }
  return (
    <FormDialog
      title={say('password.change')}
      action={say('password.change')}
      onSubmit={change}
      onClose={onClose}
    >
      <PasswordInput
        label={say('password.current')}
        required
        autoComplete="current-password"
        value={currentPassword}
        onChange={(event) => setCurrent(event.currentTarget.value)}
        data-autofocus
      />
      <PasswordInput
        label={say('password.new')}
        description={say('password.hint')}
        required
        autoComplete="new-password"
        value={newPassword}
        onChange={(event) => setNew(event.currentTarget.value)}
      />
    </FormDialog>
  )
}

/** The user's own sessions and password. */
export function Account() {
  const say = useText()
  const queries = useQueryClient()
  const { user } = useSession()
  const [ask, dialog] = useConfirm()
  const [isChanging, setChanging] = useState(false)
  const columns = useSessionColumns()
  const end = async (id: string) => {
    notifyDone(
      say('session.ended'),
      receiptOf(await answerOf(unversioned.DELETE('/auth/sessions/{id}', { params: { path: { id } } }))),
    )
    await queries.invalidateQueries({ queryKey: ['my sessions'] })
  }
  const endAll = async () => {
    await answerOf(api.POST('/auth/logout-all'))
    queries.setQueryData(['me'], null)
  }
  return (
    <>
      <PageHead
        title={say('sessions.mine')}
        hint={say('sessions.mine.hint')}
        actions={
          <Group gap="xs">
            <Button
              variant="default"
              leftSection={<Icon name="key" size={14} />}
              onClick={() => setChanging(true)}
            >
              {say('password.change')}
            </Button>
            <Button
              variant="default"
              leftSection={<Icon name="exit" size={14} />}
              onClick={() =>
                ask({
                  title: say('user.signOut.title', { name: user.username }),
                  hint: say('user.signOut.hint'),
                  action: say('user.signOut'),
                  onConfirm: endAll,
                })
              }
            >
              {say('user.signOut')}
            </Button>
          </Group>
        }
      />
      <List
        label={say('sessions')}
        queryKey={['my sessions']}
        columns={columns}
        idOf={(session) => session.id}
        nameOf={(session) => session.userAgent ?? session.id}
        load={({ limit, cursor }) =>
          answerOf(api.GET('/auth/sessions', { params: { query: { limit, ...(cursor ? { cursor } : {}) } } }))
        }
        empty={{ icon: 'clock', title: say('sessions.empty'), hint: say('sessions.empty.hint') }}
        actionsOf={({ id, current }) => [
          {
            label: say(current ? 'signOut' : 'session.end'),
            icon: 'exit',
            isDestructive: true,
            onChoose: () =>
              ask({
                title: say('session.end.title'),
                hint: say('session.end.hint'),
                action: say('session.end'),
                onConfirm: () => end(id),
              }),
          },
        ]}
      />
      <Identities />
      {dialog}
      {isChanging && <ChangePassword onClose={() => setChanging(false)} />}
    </>
  )
}
