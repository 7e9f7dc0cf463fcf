import { Badge, Button } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import { answerOf, api, edit } from '../api/client'
import { useColumns } from '../parts/columns'
import { useConfirm } from '../parts/confirm'
import { useEdited } from '../parts/edited'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { NameField } from '../parts/name-field'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'
import { usePortalClientActions } from './portal-client-actions'
import { usePortalKey, type PortalClient } from './portal-queries'

export function PortalClientForm({ client, onClose }: { client?: PortalClient; onClose: () => void }) {
  const say = useText()
  const queries = useQueryClient()
  const key = usePortalKey()
  const {
    seen,
    fields: { name },
    set,
    takeOver,
  } = useEdited(client, (item?: PortalClient) => ({ name: item?.name ?? '' }))
  const save = async () => {
    const body = { name: name.trim() }
    const answer = await answerOf<object>(
      seen
        ? edit(seen).PATCH('/mandate/portal-clients/{id}', { params: { path: { id: seen.id } }, body })
        : api.POST('/mandate/portal-clients', { body }),
    )
    notifyDone(say('portalClient.saved', body), receiptOf(answer))
    await queries.invalidateQueries({ queryKey: key })
  }
  return (
    <FormDialog
      title={say(client ? 'portalClient.edit' : 'portalClient.new')}
      action={say(client ? 'save' : 'create')}
      onSubmit={save}
      onClose={onClose}
      onTakeOver={takeOver}
    >
      <NameField label={say('name')} value={name} onChange={(name) => set({ name })} />
    </FormDialog>
  )
}

/** The clients of the portal, who have no account. */
export function PortalClients() {
  const say = useText()
  const { created, state } = useColumns()
  const key = usePortalKey()
  const [ask, dialog] = useConfirm()
  const actionsOf = usePortalClientActions(ask)
  const [editing, setEditing] = useState<PortalClient | 'new'>()
  return (
    <>
      <PageHead
        title={say('portalClients')}
        hint={say('portalClients.hint')}
        actions={
          <Button leftSection={<Icon name="plus" />} onClick={() => setEditing('new')}>
            {say('portalClient.new')}
          </Button>
        }
      />
      <List<PortalClient>
        label={say('portalClients')}
        queryKey={[...key, 'clients']}
        idOf={(one) => one.id}
        nameOf={(one) => one.name}
        search={(one) => `${one.name} ${one.slug}`}
        load={({ limit, cursor }) =>
          answerOf(
            api.GET('/mandate/portal-clients', {
              params: { query: { limit, ...(cursor ? { cursor } : {}) } },
            }),
          )
        }
        empty={{ icon: 'link', title: say('portalClients.empty'), hint: say('portalClients.empty.hint') }}
        columns={[
          {
            key: 'name',
            title: say('portalClient'),
            sortBy: (one) => one.name,
            show: (one) => (
              <>
                <Link className="row-link break" href={`/portal-clients/${one.id}`}>
                  {one.name}
                </Link>
                {one.isPreview && (
                  <Badge ml={8} color="gray">
                    {say('portalClient.preview')}
                  </Badge>
                )}
              </>
            ),
          },
          {
            key: 'slug',
            title: say('mandate.slug'),
            sortBy: (one) => one.slug,
            isSecondary: true,
            show: (one) => <span className="mono">{one.slug}</span>,
          },
          created((one) => one.createdAt),
          state((one) => one.active),
        ]}
        actionsOf={(one) => [
          { label: say('edit'), icon: 'edit', onChoose: () => setEditing(one) },
          ...actionsOf(one),
        ]}
      />
      {dialog}
      {editing && (
        <PortalClientForm
          {...(editing === 'new' ? {} : { client: editing })}
          onClose={() => setEditing(undefined)}
        />
      )}
    </>
  )
}
