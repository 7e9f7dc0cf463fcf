import { Button, Group, Menu, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { ProblemError } from '../../packages/client/src/index'
import { answerOf, api, edit, previewOf, unversioned } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { Empty } from '../parts/empty'
import { blocking, FaultNote } from '../parts/fault'
import { useEdited } from '../parts/edited'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, tellDone } from '../parts/receipts'
import { EnabledState } from '../parts/state'
import { Waiting } from '../parts/waiting'
import { useFormat } from '../texts/format'
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
    tellDone(say('user.saved', { name: user.username }))
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

function Facts({ user }: { user: User }) {
  const say = useText()
  const { dateTime } = useFormat()
  return (
    <div className="card padded">
      <dl className="facts">
        <dt>{say('state')}</dt>
        <dd>
          <EnabledState enabled={user.enabled} />
        </dd>
        <dt>{say('user.email')}</dt>
        <dd>{user.email ?? '–'}</dd>
        <dt>{say('user.level')}</dt>
        <dd>
          {user.isSysAdmin
            ? say('level.sysAdmin')
            : user.isPlatformAdmin
              ? say('level.platformAdmin')
              : say(user.isServiceAccount ? 'user.service' : 'user.level.none')}
        </dd>
        <dt>{say('user.created')}</dt>
        <dd>{dateTime(user.createdAt)}</dd>
        <dt>Id</dt>
        <dd className="mono">{user.id}</dd>
      </dl>
    </div>
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
                  tellDone(say('session.ended'), receiptOf(await end(id, '0')))
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

/** One user: who they are, where they are signed in, and what can be done about it. */
export function UserPage({ id }: { id: string }) {
  const say = useText()
  const [ask, dialog] = useConfirm()
  const { askForLink, linkDialog } = useNewLink(ask)
  const actionsOf = useUserActions(ask, askForLink)
  const [isEditing, setEditing] = useState(false)
  const {
    data: user,
    refetch,
    ...query
  } = useQuery({
    queryKey: ['users', 'one', id],
    queryFn: () => answerOf(api.GET('/admin/users/{id}', { params: { path: { id } } })),
  })
  const backTo = { href: '/users', label: say('users') }
  const error = blocking({ data: user, error: query.error })
  if (error) {
    return (
      <>
        <PageHead title={say('user')} backTo={backTo} />
        <FaultNote error={error} onRetry={() => void refetch()} />
        {isGone(error) && <IssuedBy id={id} name={say('openLink.by.gone')} saysNothing={false} />}
      </>
    )
  }
  if (!user) return <Waiting />
  const actions = actionsOf(user)
  return (
    <>
      <PageHead
        title={user.username}
        hint={user.fullName}
        backTo={backTo}
        actions={
          <Group gap="xs">
            <Button
              variant="default"
              leftSection={<Icon name="edit" size={14} />}
              onClick={() => setEditing(true)}
            >
              {say('edit')}
            </Button>
            {actions.length > 0 && (
              <Menu position="bottom-end" width={230}>
                <Menu.Target>
                  <Button variant="default" rightSection={<Icon name="down" size={13} />}>
                    {say('actions')}
                  </Button>
                </Menu.Target>
                <Menu.Dropdown>
                  {actions.map(({ label, icon, isDestructive, onChoose }) => (
                    <Menu.Item
                      key={label}
                      leftSection={<Icon name={icon} size={14} />}
                      onClick={onChoose}
                      {...(isDestructive ? { className: 'danger' } : {})}
                    >
                      {label}
                    </Menu.Item>
                  ))}
                </Menu.Dropdown>
              </Menu>
            )}
          </Group>
        }
      />
      <Facts user={user} />
      {user.isServiceAccount ? <Empty icon="robot" title={say('user.service')} /> : <Sessions user={user} />}
      <IssuedBy id={id} name={user.username} saysNothing={user.isPlatformAdmin} />
      {dialog}
      {linkDialog}
      {isEditing && <EditUser user={user} onClose={() => setEditing(false)} />}
    </>
  )
}
