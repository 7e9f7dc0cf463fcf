import { Button, Group, Menu, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { ProblemError } from '../../packages/client/src/index'
import { answerOf, api, edit, previewOf, unversioned } from '../api/client'
import type { components } from '../api/schema'
import { ActionEntries, EditButton, type Action } from '../parts/actions'
import { useConfirm } from '../parts/confirm'
import { Empty } from '../parts/empty'
import { useEdited } from '../parts/edited'
import { ItemFacts } from '../parts/facts'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { OneItem } from '../parts/one-item'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'
import { useNewLink } from './first-access'
import { IssuedBy } from './issued'
import { useSessionColumns } from './session-columns'
import { useUserActions } from './user-actions'

type User = components['schemas']['ListedUser']

function EditUser({ user, onClose }: { user: User; onClose: () => void }) {
  const say = useText()
  const queries = useQueryClient()
  const {
    seen,
    fields: { fullName, email },
    set,
    takeOver,
  } = useEdited(user, (item: User) => ({ fullName: item.fullName ?? '', email: item.email ?? '' }))
  const save = async () => {
    await answerOf(
      edit(seen).PATCH('/admin/users/{id}', {
        params: { path: { id: user.id } },
        body: { fullName: fullName.trim() || null, email: email.trim() || null },
      }),
    )
    notifyDone(say('user.saved', { name: user.username }))
    await queries.invalidateQueries({ queryKey: ['users'] })
  }
  return (
    <FormDialog
      title={say('user.edit')}
      action={say('save')}
      onSubmit={save}
      onClose={onClose}
      onTakeOver={takeOver}
    >
      <TextInput
        label={say('user.fullName')}
        value={fullName}
        onChange={(event) => set({ fullName: event.currentTarget.value })}
        data-autofocus
      />
      <TextInput
        label={say('user.email')}
        type="email"
        value={email}
        onChange={(event) => set({ email: event.currentTarget.value })}
      />
    </FormDialog>
  )
}

function UserFacts({ user }: { user: User }) {
  const say = useText()
  const level = user.isSysAdmin
    ? 'level.sysAdmin'
    : user.isPlatformAdmin
      ? 'level.platformAdmin'
      : user.isServiceAccount
        ? 'user.service'
        : 'user.level.none'
  return (
    <ItemFacts
      enabled={user.enabled}
      createdAt={user.createdAt}
      id={user.id}
      own={[
        [say('user.email'), user.email ?? '–'],
        [say('user.level'), say(level)],
      ]}
    />
  )
}

function Sessions({ user }: { user: User }) {
  const say = useText()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const columns = useSessionColumns()
  const end = (sessionId: string, dryRun: '0' | '1') =>
    answerOf(
      unversioned.DELETE('/admin/users/{id}/sessions/{sessionId}', {
        params: { path: { id: user.id, sessionId }, query: { dryRun } },
      }),
    )
  return (
    <>
      <h2 className="section">{say('sessions')}</h2>
      <List
        label={say('sessions')}
        queryKey={['users', 'sessions', user.id]}
        idOf={(session) => session.id}
        nameOf={(session) => session.id}
        columns={columns}
        load={(query) =>
          answerOf(api.GET('/admin/users/{id}/sessions', { params: { path: { id: user.id }, query } }))
        }
        empty={{ icon: 'clock', title: say('sessions.empty'), hint: say('sessions.empty.hint') }}
        actionsOf={({ id }) => [
          {
            label: say('session.end'),
            icon: 'exit',
            isDestructive: true,
            onChoose: () =>
              ask({
                title: say('session.end.title'),
                hint: say('session.end.hint'),
                action: say('session.end'),
                preview: () => previewOf(end(id, '1')),
                onConfirm: async () => {
                  notifyDone(say('session.ended'), receiptOf(await end(id, '0')))
                  await queries.invalidateQueries({ queryKey: ['users', 'sessions', user.id] })
                },
              }),
          },
        ]}
      />
      {dialog}
    </>
  )
}

const isGone = (error: unknown) => error instanceof ProblemError && error.code === 'not_found'

function UserMenu({ actions }: { actions: Action[] }) {
  const say = useText()
  if (actions.length === 0) return null
  return (
    <Menu position="bottom-end" width={230}>
      <Menu.Target>
        <Button variant="default" rightSection={<Icon name="down" size={13} />}>
          {say('actions')}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <ActionEntries actions={actions} />
      </Menu.Dropdown>
    </Menu>
  )
}

/** One user: their facts, sessions and actions. */
export function UserPage({ id }: { id: string }) {
  const say = useText()
  const [ask, dialog] = useConfirm()
  const { askForLink, linkDialog } = useNewLink(ask)
  const actionsOf = useUserActions(ask, askForLink)
  const [isEditing, setEditing] = useState(false)
  const backTo = { href: '/users', label: say('users') }
  return (
    <OneItem
      title={say('user')}
      backTo={backTo}
      queryKey={['users', 'one', id]}
      load={() => answerOf(api.GET('/admin/users/{id}', { params: { path: { id } } }))}
      belowError={(error) =>
        isGone(error) && <IssuedBy id={id} name={say('openLink.by.gone')} saysNothing={false} />
      }
    >
      {(user) => (
        <>
          <PageHead
            title={user.username}
            hint={user.fullName}
            backTo={backTo}
            actions={
              <Group gap="xs">
                <EditButton onClick={() => setEditing(true)} />
                <UserMenu actions={actionsOf(user)} />
              </Group>
            }
          />
          <UserFacts user={user} />
          {user.isServiceAccount ? (
            <Empty icon="robot" title={say('user.service')} />
          ) : (
            <Sessions user={user} />
          )}
          <IssuedBy id={id} name={user.username} saysNothing={user.isPlatformAdmin} />
          {dialog}
          {linkDialog}
          {isEditing && <EditUser user={user} onClose={() => setEditing(false)} />}
        </>
      )}
    </OneItem>
  )
}
