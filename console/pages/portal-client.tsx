import { Button, Group, Text, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useLocation } from 'wouter'
import { answerOf, api, unversioned } from '../api/client'
import { ActionButtons, EditButton } from '../parts/actions'
import { useConfirm } from '../parts/confirm'
import { ItemFacts } from '../parts/facts'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { OneItem } from '../parts/one-item'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { ShownOnce } from '../parts/shown-once'
import { State } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { usePortalClientActions } from './portal-client-actions'
import { PortalClientForm } from './portal-clients'
import { usePortalKey, type PortalLink } from './portal-queries'

/** The end of a day, where the person is. */
const endOf = (day: string) => new Date(`${day}T23:59:59`).toISOString()

function NewLink({
  clientId,
  onMade,
  onClose,
}: {
  clientId: string
  onMade: (url: string) => void
  onClose: () => void
}) {
  const say = useText()
  const queries = useQueryClient()
  const key = usePortalKey()
  const [label, setLabel] = useState('')
  const [lastDay, setLastDay] = useState('')
  const make = async () => {
    const body = { label: label.trim() || null, expiresAt: lastDay ? endOf(lastDay) : null }
    const { url } = await answerOf(
      api.POST('/mandate/portal-clients/{id}/links', { params: { path: { id: clientId } }, body }),
    )
    onMade(url)
    await queries.invalidateQueries({ queryKey: key })
  }
  return (
    <FormDialog title={say('portalLink.new')} action={say('create')} onSubmit={make} onClose={onClose}>
      <TextInput
        label={say('label')}
        description={say('portalLink.label.hint')}
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
        data-autofocus
      />
      <TextInput
        type="date"
        label={say('portalLink.expires')}
        description={say('portalLink.expires.hint')}
        value={lastDay}
        onChange={(event) => setLastDay(event.currentTarget.value)}
      />
    </FormDialog>
  )
}

function LinkState({ link: { revokedAt, expiresAt } }: { link: PortalLink }) {
  const say = useText()
  if (revokedAt) return <State kind="bad">{say('portalLink.revoked')}</State>
  if (expiresAt && Date.parse(expiresAt) <= Date.now())
    return <State kind="idle">{say('portalLink.expired')}</State>
  return <State kind="good">{say('portalLink.valid')}</State>
}

function Links({ clientId }: { clientId: string }) {
  const say = useText()
  const { ago, date, dateTime } = useFormat()
  const queries = useQueryClient()
  const key = usePortalKey()
  const [ask, dialog] = useConfirm()
  const [isMaking, setMaking] = useState(false)
  const [url, setUrl] = useState<string>()
  const revoke = async (linkId: string) => {
    notifyDone(
      say('portalLink.isRevoked'),
      receiptOf(
        await answerOf(
          unversioned.DELETE('/mandate/portal-clients/{id}/links/{linkId}', {
            params: { path: { id: clientId, linkId } },
          }),
        ),
      ),
    )
    await queries.invalidateQueries({ queryKey: key })
  }
  return (
    <>
      <Group justify="space-between" align="end" mt={26} mb={10}>
        <div>
          <h2 className="section flush">{say('portalLinks')}</h2>
          <Text size="sm" c="dimmed">
            {say('portalLinks.hint')}
          </Text>
        </div>
        <Button leftSection={<Icon name="plus" />} onClick={() => setMaking(true)}>
          {say('portalLink.new')}
        </Button>
      </Group>
      <List<PortalLink>
        label={say('portalLinks')}
        queryKey={[...key, 'links', clientId]}
        idOf={(one) => one.id}
        nameOf={(one) => one.label ?? say('portalLink.unlabelled')}
        load={({ limit, cursor }) =>
          answerOf(
            api.GET('/mandate/portal-clients/{id}/links', {
              params: { path: { id: clientId }, query: { limit, ...(cursor ? { cursor } : {}) } },
            }),
          )
        }
        empty={{ icon: 'link', title: say('portalLinks.empty'), hint: say('portalLinks.empty.hint') }}
        columns={[
          {
            key: 'label',
            title: say('label'),
            sortBy: (one) => one.label,
            show: (one) =>
              one.label ? (
                <b className="break">{one.label}</b>
              ) : (
                <span className="soft">{say('portalLink.unlabelled')}</span>
              ),
          },
          {
            key: 'created',
            title: say('user.created'),
            sortBy: (one) => one.createdAt,
            isSecondary: true,
            show: (one) => dateTime(one.createdAt),
          },
          {
            key: 'used',
            title: say('portalLink.used'),
            sortBy: (one) => one.lastUsedAt,
            isSecondary: true,
            show: (one) =>
              one.lastUsedAt ? (
                <span title={dateTime(one.lastUsedAt)}>{ago(one.lastUsedAt)}</span>
              ) : (
                <span className="soft">{say('never')}</span>
              ),
          },
          {
            key: 'expires',
            title: say('portalLink.expires'),
            sortBy: (one) => one.expiresAt,
            isSecondary: true,
            show: (one) =>
              one.expiresAt ? date(one.expiresAt) : <span className="soft">{say('never')}</span>,
          },
          {
            key: 'state',
            title: say('state'),
            sortBy: (one) => Number(one.revokedAt === null),
            show: (one) => <LinkState link={one} />,
          },
        ]}
        actionsOf={(one) =>
          one.revokedAt
            ? []
            : [
                {
                  label: say('portalLink.revoke'),
                  icon: 'cross',
                  isDestructive: true,
                  onChoose: () =>
                    ask({
                      title: say('portalLink.revoke.title'),
                      hint: say('portalLink.revoke.hint'),
                      action: say('portalLink.revoke'),
                      onConfirm: () => revoke(one.id),
                    }),
                },
              ]
        }
      />
      {dialog}
      {isMaking && <NewLink clientId={clientId} onMade={setUrl} onClose={() => setMaking(false)} />}
      {url && (
        <ShownOnce
          title={say('portalLink.made')}
          hint={say('portalLink.made.hint')}
          value={url}
          onClose={() => setUrl(undefined)}
        />
      )}
    </>
  )
}

/** One client of the portal, with the links that let them in. */
export function PortalClientPage({ id }: { id: string }) {
  const say = useText()
  const key = usePortalKey()
  const [, navigate] = useLocation()
  const [ask, dialog] = useConfirm()
  const actionsOf = usePortalClientActions(ask, () => navigate('/portal-clients'))
  const [isEditing, setEditing] = useState(false)
  const backTo = { href: '/portal-clients', label: say('portalClients') }
  return (
    <OneItem
      title={say('portalClient')}
      backTo={backTo}
      queryKey={[...key, 'clients', 'one', id]}
      load={() => answerOf(api.GET('/mandate/portal-clients/{id}', { params: { path: { id } } }))}
    >
      {(client) => (
        <>
          <PageHead
            title={client.name}
            hint={<span className="mono">{client.slug}</span>}
            backTo={backTo}
            actions={
              <Group gap="xs">
                <EditButton onClick={() => setEditing(true)} />
                <ActionButtons actions={actionsOf(client)} />
              </Group>
            }
          />
          <ItemFacts enabled={client.active} createdAt={client.createdAt} id={client.id} />
          <Links clientId={id} />
          {dialog}
          {isEditing && <PortalClientForm client={client} onClose={() => setEditing(false)} />}
        </>
      )}
    </OneItem>
  )
}
