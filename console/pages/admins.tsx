import { Badge, Button, Text, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api, unversioned } from '../api/client'
import type { components } from '../api/schema'
import { useSession } from '../app/session'
import { useColumns } from '../parts/columns'
import { useConfirm } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'

type SysAdmin = components['schemas']['SysAdmin']

function AddAdmin({
  onClose,
  onDone,
}: {
  onClose: () => void
  onDone: (text: string, answer: object) => Promise<void>
}) {
  const say = useText()
  const [username, setUsername] = useState('')
  const name = username.trim()
  const add = async () =>
    onDone(
      say('admin.added', { name }),
      await answerOf(unversioned.PUT('/system/admins/{userId}', { params: { path: { userId: name } } })),
    )
  return (
    <FormDialog title={say('admin.add')} action={say('admin.add')} onSubmit={add} onClose={onClose}>
      <Text size="sm">{say('admin.add.hint')}</Text>
      <TextInput
        label={say('signIn.username')}
        required
        value={username}
        onChange={(event) => setUsername(event.currentTarget.value)}
        autoComplete="off"
        data-autofocus
      />
    </FormDialog>
  )
}

/** The SysAdmins of the gateway. */
export function Admins() {
  const say = useText()
  const { state } = useColumns()
  const queries = useQueryClient()
  const { user: me } = useSession()
  const [ask, dialog] = useConfirm()
  const [isAdding, setAdding] = useState(false)
  const done = async (text: string, answer: object) => {
    notifyDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: ['admins'] })
  }
  const remove = async ({ id, username }: SysAdmin) => {
    await done(
      say('admin.removed', { name: username }),
      await answerOf(unversioned.DELETE('/system/admins/{userId}', { params: { path: { userId: id } } })),
    )
    if (id === me.id) await queries.invalidateQueries({ queryKey: ['me'] })
  }
  return (
    <>
      <PageHead
        title={say('admins')}
        hint={say('admins.hint')}
        actions={
          <Button leftSection={<Icon name="plus" />} onClick={() => setAdding(true)}>
            {say('admin.add')}
          </Button>
        }
      />
      <List<SysAdmin>
        label={say('admins')}
        queryKey={['admins']}
        idOf={(one) => one.id}
        nameOf={(one) => one.username}
        load={async () => ({ ...(await answerOf(api.GET('/system/admins'))), nextCursor: null })}
        empty={{ icon: 'shield', title: say('admins.empty') }}
        columns={[
          {
            key: 'user',
            title: say('user'),
            sortBy: (one) => one.username,
            show: (one) => (
              <>
                <b>{one.username}</b>
                {one.id === me.id && <Badge ml={8}>{say('admin.you')}</Badge>}
                <span className="sub">{one.fullName}</span>
              </>
            ),
          },
          state((one) => one.enabled),
        ]}
        actionsOf={(one) => [
          {
            label: say('admin.remove'),
            icon: 'cross',
            isDestructive: true,
            onChoose: () =>
              ask({
                title: say('admin.remove.title', { name: one.username }),
                hint: say('admin.remove.hint'),
                action: say('admin.remove'),
                onConfirm: () => remove(one),
              }),
          },
        ]}
      />
      {dialog}
      {isAdding && <AddAdmin onClose={() => setAdding(false)} onDone={done} />}
    </>
  )
}
