import { Button, Checkbox, Select, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { notifyDone } from '../parts/receipts'
import { EnabledState } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { AccessLink, useNewLink, type FirstAccess } from './first-access'
import { useUserActions } from './user-actions'

type User = components['schemas']['ListedUser']

function NewUser({ onClose, onMade }: { onClose: () => void; onMade: (access: FirstAccess) => void }) {
  const say = useText()
  const queries = useQueryClient()
  const [{ username, fullName, email, isPlatformAdmin }, setFields] = useState({
    username: '',
    fullName: '',
    email: '',
    isPlatformAdmin: false,
  })
  const set = (change: object) => setFields((before) => ({ ...before, ...change }))
  const make = async () => {
    const made: object = await answerOf(
      api.POST('/admin/users', {
        body: {
          username: username.trim(),
          fullName: fullName.trim() || null,
          email: email.trim() || null,
          isPlatformAdmin,
          deliver: 'link',
        },
      }),
    )
    notifyDone(say('user.made', { name: username.trim() }))
    const { url, expiresAt } = ('firstAccess' in made ? made.firstAccess : {}) as Partial<
      components['schemas']['FirstAccess']
    >
    if (typeof url === 'string' && expiresAt !== undefined)
      onMade({ name: username.trim(), isReset: false, url, expiresAt })
    await queries.invalidateQueries({ queryKey: ['users'] })
  }
  return (
    <FormDialog title={say('user.new')} action={say('create')} onSubmit={make} onClose={onClose}>
      <TextInput
        label={say('signIn.username')}
        description={say('user.username.hint')}
        required
        value={username}
        onChange={(event) => set({ username: event.currentTarget.value })}
        data-autofocus
        autoComplete="off"
      />
      <TextInput
        label={say('user.fullName')}
        value={fullName}
        onChange={(event) => set({ fullName: event.currentTarget.value })}
      />
      <TextInput
        label={say('user.email')}
        type="email"
        value={email}
        onChange={(event) => set({ email: event.currentTarget.value })}
      />
      <Checkbox
        mt={4}
        label={say('user.platformAdmin')}
        description={say('user.platformAdmin.hint')}
        checked={isPlatformAdmin}
        onChange={(event) => set({ isPlatformAdmin: event.currentTarget.checked })}
      />
    </FormDialog>
  )
}

type Level = 'sysAdmin' | 'platformAdmin' | 'none'

/** Users of the whole platform. */
export function Users() {
  const say = useText()
  const { date } = useFormat()
  const [ask, dialog] = useConfirm()
  const { askForLink, linkDialog } = useNewLink(ask)
  const actionsOf = useUserActions(ask, askForLink)
  const [isMaking, setMaking] = useState(false)
  const [access, setAccess] = useState<FirstAccess>()
  const [level, setLevel] = useState<Level | null>(null)
  const levelOf = (user: User) =>
    user.isSysAdmin
      ? say('level.sysAdmin')
      : user.isPlatformAdmin
        ? say('level.platformAdmin')
        : user.isServiceAccount
          ? say('user.service')
          : ''
  return (
    <>
      <PageHead
        title={say('users')}
        hint={say('users.hint')}
        actions={
          <Button leftSection={<Icon name="plus" />} onClick={() => setMaking(true)}>
            {say('user.new')}
          </Button>
        }
      />
      <List<User, 'username' | 'createdAt'>
        label={say('users')}
        queryKey={['users', level]}
        idOf={(user) => user.id}
        nameOf={(user) => user.username}
        search="server"
        load={(query) =>
          answerOf(api.GET('/admin/users', { params: { query: { ...query, ...(level ? { level } : {}) } } }))
        }
        empty={{ icon: 'users', title: say('users.empty'), hint: say('users.empty.hint') }}
        isFiltered={level !== null}
        filters={
          <Select<Level>
            aria-label={say('user.level')}
            placeholder={say('user.level')}
            clearable
            w={170}
            value={level}
            onChange={setLevel}
            data={[
              { value: 'sysAdmin', label: say('level.sysAdmin') },
              { value: 'platformAdmin', label: say('level.platformAdmin') },
              { value: 'none', label: say('user.level.none') },
            ]}
          />
        }
        columns={[
          {
            key: 'name',
            title: say('user'),
            sort: 'username',
            sortBy: (user) => user.username,
            show: (user) => (
              <>
                <Link className="row-link" href={`/users/${user.id}`}>
                  {user.username}
                </Link>
                <span className="sub">{user.fullName}</span>
              </>
            ),
          },
          { key: 'email', title: say('user.email'), isSecondary: true, show: (user) => user.email },
          { key: 'level', title: say('user.level'), isSecondary: true, show: levelOf },
          {
            key: 'created',
            title: say('user.created'),
            sort: 'createdAt',
            sortBy: (user) => user.createdAt,
            isSecondary: true,
            show: (user) => date(user.createdAt),
          },
          { key: 'state', title: say('state'), show: (user) => <EnabledState enabled={user.enabled} /> },
        ]}
        actionsOf={actionsOf}
      />
      {dialog}
      {linkDialog}
      {isMaking && <NewUser onClose={() => setMaking(false)} onMade={setAccess} />}
      {access && <AccessLink access={access} onClose={() => setAccess(undefined)} />}
    </>
  )
}
