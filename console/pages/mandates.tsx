import { Button, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import { answerOf, api, edit } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { useEdited } from '../parts/edited'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { NameField } from '../parts/name-field'
import { PageHead } from '../parts/page-head'
import { notifyDone } from '../parts/receipts'
import { EnabledState } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { useMandateActions } from './mandate-actions'

type Mandate = components['schemas']['Mandate']

/** Returns a slug made of a label. */
const slugOf = (label: string) =>
  label
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')

export function MandateForm({ mandate, onClose }: { mandate?: Mandate; onClose: () => void }) {
  const say = useText()
  const queries = useQueryClient()
  const {
    seen,
    fields: { label, slug },
    set,
    takeOver,
  } = useEdited(mandate, (item?: Mandate) => ({ label: item?.label ?? '', slug: item?.slug }))
  const body = { label: label.trim(), slug: slug ?? slugOf(label) }
  const save = async () => {
    await answerOf<object>(
      seen
        ? edit(seen).PATCH('/admin/mandates/{id}', { params: { path: { id: seen.id } }, body })
        : api.POST('/admin/mandates', { body }),
    )
    notifyDone(say(mandate ? 'mandate.saved' : 'mandate.made', { name: body.label }))
    await queries.invalidateQueries({ queryKey: ['mandates'] })
  }
  return (
    <FormDialog
      title={say(mandate ? 'mandate.edit' : 'mandate.new')}
      action={say(mandate ? 'save' : 'create')}
      onSubmit={save}
      onClose={onClose}
      onTakeOver={takeOver}
    >
      <NameField label={say('label')} value={label} onChange={(label) => set({ label })} />
      <TextInput
        label={say('mandate.slug')}
        description={say('mandate.slug.hint')}
        required
        value={body.slug}
        onChange={(event) => set({ slug: event.currentTarget.value })}
      />
    </FormDialog>
  )
}

/** The mandates of the platform. */
export function Mandates() {
  const say = useText()
  const { date } = useFormat()
  const [ask, dialog] = useConfirm()
  const actionsOf = useMandateActions(ask)
  const [isMaking, setMaking] = useState(false)
  return (
    <>
      <PageHead
        title={say('mandates')}
        hint={say('mandates.hint')}
        actions={
          <Button leftSection={<Icon name="plus" />} onClick={() => setMaking(true)}>
            {say('mandate.new')}
          </Button>
        }
      />
      <List<Mandate, 'slug' | 'createdAt'>
        label={say('mandates')}
        queryKey={['mandates']}
        idOf={(mandate) => mandate.id}
        nameOf={(mandate) => mandate.label}
        search="server"
        load={(query) => answerOf(api.GET('/admin/mandates', { params: { query } }))}
        empty={{ icon: 'building', title: say('mandates.empty'), hint: say('mandates.empty.hint') }}
        columns={[
          {
            key: 'label',
            title: say('mandate'),
            show: (mandate) => (
              <Link className="row-link" href={`/mandates/${mandate.id}`}>
                {mandate.label}
              </Link>
            ),
          },
          {
            key: 'slug',
            title: say('mandate.slug'),
            sort: 'slug',
            sortBy: (mandate) => mandate.slug,
            show: (mandate) => <span className="mono">{mandate.slug}</span>,
          },
          {
            key: 'created',
            title: say('user.created'),
            sort: 'createdAt',
            sortBy: (mandate) => mandate.createdAt,
            isSecondary: true,
            show: (mandate) => date(mandate.createdAt),
          },
          {
            key: 'state',
            title: say('state'),
            show: (mandate) => <EnabledState enabled={mandate.enabled} />,
          },
        ]}
        actionsOf={actionsOf}
      />
      {dialog}
      {isMaking && <MandateForm onClose={() => setMaking(false)} />}
    </>
  )
}
