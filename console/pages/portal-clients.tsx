import { Badge, Button, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import { useSession } from '../app/session'
import { useConfirm } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, tellDone } from '../parts/receipts'
import { EnabledState } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type Client = components['schemas']['PortalClient']

function ClientForm({ client, onClose, onDone }: { client?: Client; onClose: () => void; onDone: (text: string) => Promise<void> }) {
  const say = useText()
  const [name, setName] = useState(client?.name ?? '')
  const save = async () => {
    const body = { name: name.trim() }
    await answerOf<object>(client ? api.PATCH('/mandate/portal-clients/{id}', { params: { path: { id: client.id } }, body }) : api.POST('/mandate/portal-clients', { body }))
    await onDone(say('portalClient.saved', { name: body.name }))
  }
  return (
    <FormDialog title={say(client ? 'portalClient.edit' : 'portalClient.new')} action={say(client ? 'save' : 'create')} onSubmit={save} onClose={onClose}>
      <TextInput label={say('name')} required value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
    </FormDialog>
  )
}

/** Those who look in through links, without an account. */
export function PortalClients() {
  const say = useText()
  const { date } = useFormat()
  const queries = useQueryClient()
  const { mandateId } = useSession()
  const [ask, dialog] = useConfirm()
  const [editing, setEditing] = useState<Client | 'new'>()
  const key = ['mandate', mandateId, 'portal clients']
  const done = async (text: string, answer: object = {}) => {
    tellDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: key })
  }
  const setActive = async ({ id, name }: Client, active: boolean) => done(say(active ? 'portalClient.isActive' : 'portalClient.isInactive', { name }), await answerOf(api.PATCH('/mandate/portal-clients/{id}', { params: { path: { id } }, body: { active } })))
  const remove = async ({ id, name }: Client) => done(say('portalClient.deleted', { name }), await answerOf(api.DELETE('/mandate/portal-clients/{id}', { params: { path: { id } } })))
  return (
    <>
      <PageHead title={say('portalClients')} hint={say('portalClients.hint')} actions={<Button leftSection={<Icon name="plus" />} onClick={() => setEditing('new')}>{say('portalClient.new')}</Button>} />
      <List<Client>
        label={say('portalClients')} queryKey={key} idOf={(one) => one.id} nameOf={(one) => one.name} search={(one) => `${one.name} ${one.slug}`}
        load={({ limit, cursor }) => answerOf(api.GET('/mandate/portal-clients', { params: { query: { limit, ...(cursor ? { cursor } : {}) } } }))}
        empty={{ icon: 'link', title: say('portalClients.empty'), hint: say('portalClients.empty.hint') }}
        columns={[
          { key: 'name', title: say('portalClient'), sortBy: (one) => one.name, show: (one) => <><Link className="row-link" href={`/portal-clients/${one.id}`}>{one.name}</Link>{one.isPreview && <Badge ml={8} color="gray">{say('portalClient.preview')}</Badge>}</> },
          { key: 'slug', title: say('mandate.slug'), sortBy: (one) => one.slug, isSecondary: true, show: (one) => <span className="mono">{one.slug}</span> },
          { key: 'created', title: say('user.created'), sortBy: (one) => one.createdAt, isSecondary: true, show: (one) => date(one.createdAt) },
          { key: 'state', title: say('state'), sortBy: (one) => Number(one.active), show: (one) => <EnabledState enabled={one.active} /> },
        ]}
        actionsOf={(one) => [
          { label: say('edit'), icon: 'edit', onChoose: () => setEditing(one) },
          one.active
            ? { label: say('disable'), icon: 'cross', isDestructive: true, onChoose: () => ask({ title: say('portalClient.disable', { name: one.name }), hint: say('portalClient.disable.hint'), action: say('disable'), onConfirm: () => setActive(one, false) }) }
            : { label: say('enable'), icon: 'check', onChoose: () => void setActive(one, true) },
          { label: say('delete'), icon: 'trash', isDestructive: true, onChoose: () => ask({ title: say('portalClient.delete', { name: one.name }), hint: say('portalClient.delete.hint'), action: say('delete'), onConfirm: () => remove(one) }) },
        ]}
      />
      {dialog}
      {editing && <ClientForm {...(editing === 'new' ? {} : { client: editing })} onClose={() => setEditing(undefined)} onDone={done} />}
    </>
  )
}
