import { Button, Group, PasswordInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api } from '../api/client'
import { useSession } from '../app/session'
import { settings } from '../app/settings'
import { useConfirm } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, tellDone } from '../parts/receipts'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { useSessionColumns } from './session-columns'

function ChangePassword({ onClose }: { onClose: () => void }) {
  const say = useText()
  const [currentPassword, setCurrent] = useState('')
  const [newPassword, setNew] = useState('')
  const change = async () => {
    tellDone(say('password.changed'), receiptOf(await answerOf(api.POST('/auth/password', { body: { currentPassword, newPassword } }))))
  }
  return (
    <FormDialog title={say('password.change')} action={say('password.change')} onSubmit={change} onClose={onClose}>
      <PasswordInput label={say('password.current')} required autoComplete="current-password" value={currentPassword} onChange={(event) => setCurrent(event.currentTarget.value)} data-autofocus />
      <PasswordInput label={say('password.new')} description={say('password.hint')} required autoComplete="new-password" value={newPassword} onChange={(event) => setNew(event.currentTarget.value)} />
    </FormDialog>
  )
}

/** What else one can sign in with, as far as that is configured. */
function Identities() {
  const say = useText()
  const { date } = useFormat()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const { data } = useQuery({ queryKey: ['identities'], queryFn: () => answerOf(api.GET('/auth/identities')) })
  const link = async (authority: 'google' | 'msft') => {
    const { authorizationUrl } = await answerOf(api.POST('/auth/identities', { body: { authority, next: '/console/account' } }))
    window.location.assign(authorizationUrl)
  }
  const unlink = async (id: string) => {
    tellDone(say('identity.unlinked'), receiptOf(await answerOf(api.DELETE('/auth/identities/{id}', { params: { path: { id } } }))))
    await queries.invalidateQueries({ queryKey: ['identities'] })
  }
  return (
    <>
      <h2 className="section">{say('identities')}</h2>
      <div className="card padded">
        {data?.items.map((one) => (
          <Group key={one.id} justify="space-between">
            <span><b>{say(`authority.${one.authority}`)}</b> {one.email} <span className="soft">{date(one.linkedAt)}</span></span>
            <Button size="xs" variant="default" onClick={() => ask({ title: say('identity.unlink.title'), hint: say('identity.unlink.hint'), action: say('identity.unlink'), onConfirm: () => unlink(one.id) })}>{say('identity.unlink')}</Button>
          </Group>
        ))}
        <Group gap="xs" mt={data?.items.length ? 'sm' : 0}>
          {settings.authorities.map((authority) => <Button key={authority} size="xs" variant="default" leftSection={<Icon name="link" size={14} />} onClick={() => void link(authority)}>{say('identity.link', { name: say(`authority.${authority}`) })}</Button>)}
        </Group>
      </div>
      {dialog}
    </>
  )
}

/** Where I am signed in, and what I sign in with. */
export function Account() {
  const say = useText()
  const queries = useQueryClient()
  const { user } = useSession()
  const [ask, dialog] = useConfirm()
  const [isChanging, setChanging] = useState(false)
  const columns = useSessionColumns()
  const end = async (id: string) => {
    tellDone(say('session.ended'), receiptOf(await answerOf(api.DELETE('/auth/sessions/{id}', { params: { path: { id } } }))))
    await queries.invalidateQueries({ queryKey: ['my sessions'] })
  }
  const endAll = async () => {
    await answerOf(api.POST('/auth/logout-all'))
    queries.setQueryData(['me'], null)
  }
  return (
    <>
      <PageHead title={say('sessions.mine')} hint={say('sessions.mine.hint')} actions={(
        <Group gap="xs">
          <Button variant="default" leftSection={<Icon name="key" size={14} />} onClick={() => setChanging(true)}>{say('password.change')}</Button>
          <Button variant="default" leftSection={<Icon name="exit" size={14} />} onClick={() => ask({ title: say('user.signOut.title', { name: user.username }), hint: say('user.signOut.hint'), action: say('user.signOut'), onConfirm: endAll })}>{say('user.signOut')}</Button>
        </Group>
      )} />
      <List
        label={say('sessions')} queryKey={['my sessions']} columns={columns} idOf={(session) => session.id} nameOf={(session) => session.userAgent ?? session.id}
        load={({ limit, cursor }) => answerOf(api.GET('/auth/sessions', { params: { query: { limit, ...(cursor ? { cursor } : {}) } } }))}
        empty={{ icon: 'clock', title: say('sessions.empty'), hint: say('sessions.empty.hint') }}
        actionsOf={({ id, current }) => [{ label: say(current ? 'signOut' : 'session.end'), icon: 'exit', isDestructive: true, onChoose: () => ask({ title: say('session.end.title'), hint: say('session.end.hint'), action: say('session.end'), onConfirm: () => end(id) }) }]}
      />
      {settings.authorities.length > 0 && <Identities />}
      {dialog}
      {isChanging && <ChangePassword onClose={() => setChanging(false)} />}
    </>
  )
}
