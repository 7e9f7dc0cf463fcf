import { Button, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import { useSession } from '../app/session'
import { Code } from '../parts/code'
import { useConfirm } from '../parts/confirm'
import { FaultNote } from '../parts/fault'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, tellDone } from '../parts/receipts'
import { State } from '../parts/state'
import { Waiting } from '../parts/waiting'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type PortalLink = components['schemas']['PortalLink']

function NewLink({ clientId, onClose, onMade }: { clientId: string; onClose: () => void; onMade: (url: string) => Promise<void> }) {
  const say = useText()
  const [label, setLabel] = useState('')
  const [day, setDay] = useState('')
  const make = async () => {
    const expiresAt = day ? new Date(`${day}T23:59:59`).toISOString() : null
    const { url } = await answerOf(api.POST('/mandate/portal-clients/{id}/links', { params: { path: { id: clientId } }, body: { label: label.trim() || null, expiresAt } }))
    await onMade(url)
  }
  return (
    <FormDialog title={say('portalLink.new')} action={say('create')} onSubmit={make} onClose={onClose}>
      <TextInput label={say('label')} description={say('portalLink.label.hint')} value={label} onChange={(event) => setLabel(event.currentTarget.value)} data-autofocus />
      <TextInput label={say('portalLink.expires')} description={say('portalLink.expires.hint')} type="date" value={day} onChange={(event) => setDay(event.currentTarget.value)} />
    </FormDialog>
  )
}

const isOver = ({ revokedAt, expiresAt }: PortalLink) => revokedAt !== null || (expiresAt !== null && Date.parse(expiresAt) < Date.now())

function Links({ clientId }: { clientId: string }) {
  const say = useText()
  const { ago, date } = useFormat()
  const queries = useQueryClient()
  const { mandateId } = useSession()
  const [ask, dialog] = useConfirm()
  const [isMaking, setMaking] = useState(false)
  const [url, setUrl] = useState<string>()
  const key = ['mandate', mandateId, 'portal links', clientId]
  const refresh = () => queries.invalidateQueries({ queryKey: key })
  const revoke = async (linkId: string) => {
    tellDone(say('portalLink.isRevoked'), receiptOf(await answerOf(api.DELETE('/mandate/portal-clients/{id}/links/{linkId}', { params: { path: { id: clientId, linkId } } }))))
    await refresh()
  }
  return (
    <>
      <List<PortalLink>
        label={say('portalLinks')} queryKey={key} idOf={(one) => one.id} nameOf={(one) => one.label ?? one.id}
        load={({ limit, cursor }) => answerOf(api.GET('/mandate/portal-clients/{id}/links', { params: { path: { id: clientId }, query: { limit, ...(cursor ? { cursor } : {}) } } }))}
        end={<Button leftSection={<Icon name="plus" />} onClick={() => setMaking(true)}>{say('portalLink.new')}</Button>}
        empty={{ icon: 'link', title: say('portalLinks.empty'), hint: say('portalLinks.empty.hint') }}
        columns={[
          { key: 'label', title: say('label'), sortBy: (one) => one.label, show: (one) => one.label ?? <span className="soft">{say('portalLink.unlabelled')}</span> },
          { key: 'used', title: say('portalLink.used'), sortBy: (one) => one.lastUsedAt, show: (one) => one.lastUsedAt ? ago(one.lastUsedAt) : <span className="soft">{say('never')}</span> },
          { key: 'created', title: say('user.created'), sortBy: (one) => one.createdAt, isSecondary: true, show: (one) => date(one.createdAt) },
          { key: 'expires', title: say('portalLink.expires'), sortBy: (one) => one.expiresAt, isSecondary: true, show: (one) => one.expiresAt ? date(one.expiresAt) : <span className="soft">{say('never')}</span> },
          { key: 'state', title: say('state'), show: (one) => <State kind={isOver(one) ? 'bad' : 'good'}>{say(one.revokedAt ? 'portalLink.revoked' : isOver(one) ? 'portalLink.expired' : 'portalLink.valid')}</State> },
        ]}
        actionsOf={(one) => isOver(one) ? [] : [{ label: say('portalLink.revoke'), icon: 'cross', isDestructive: true, onChoose: () => ask({ title: say('portalLink.revoke.title'), hint: say('portalLink.revoke.hint'), action: say('portalLink.revoke'), onConfirm: () => revoke(one.id) }) }]}
      />
      {dialog}
      {isMaking && <NewLink clientId={clientId} onClose={() => setMaking(false)} onMade={(made) => {
        setUrl(made)
        return refresh()
      }} />}
      {url && (
        <Modal opened onClose={() => setUrl(undefined)} title={say('portalLink.made')} closeButtonProps={{ 'aria-label': say('close') }}>
          <Stack gap="sm"><Text size="sm">{say('portalLink.made.hint')}</Text><Code text={url} /></Stack>
        </Modal>
      )}
    </>
  )
}

/** One client of the portal, with their links. */
export function PortalClientPage({ id }: { id: string }) {
  const say = useText()
  const { mandateId } = useSession()
  const { data: client, error, refetch } = useQuery({ queryKey: ['mandate', mandateId, 'portal clients', 'one', id], queryFn: () => answerOf(api.GET('/mandate/portal-clients/{id}', { params: { path: { id } } })) })
  const backTo = { href: '/portal-clients', label: say('portalClients') }
  if (error) return <><PageHead title={say('portalClient')} backTo={backTo} /><FaultNote error={error} onRetry={() => void refetch()} /></>
  if (!client) return <Waiting />
  return (
    <>
      <PageHead title={client.name} hint={say('portalLinks.hint')} backTo={backTo} />
      <Links clientId={id} />
    </>
  )
}
