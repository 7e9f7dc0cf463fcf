import { Group } from '@mantine/core'
import { useState } from 'react'
import { answerOf, api } from '../api/client'
import { membersOf } from '../api/realms'
import { ActionButtons, EditButton } from '../parts/actions'
import { useConfirm } from '../parts/confirm'
import { ItemFacts } from '../parts/facts'
import { OneItem } from '../parts/one-item'
import { PageHead } from '../parts/page-head'
import { useText } from '../texts/language'
import { useMandateActions } from './mandate-actions'
import { MandateForm } from './mandates'
import { PeopleList } from './people'

/** One mandate as platform admins govern it, with its members. */
export function MandatePage({ id }: { id: string }) {
  const say = useText()
  const [ask, dialog] = useConfirm()
  const actionsOf = useMandateActions(ask)
  const [isEditing, setEditing] = useState(false)
  const backTo = { href: '/mandates', label: say('mandates') }
  return (
    <OneItem
      title={say('mandate')}
      backTo={backTo}
      queryKey={['mandates', 'one', id]}
      load={() => answerOf(api.GET('/admin/mandates/{id}', { params: { path: { id } } }))}
    >
      {(mandate) => (
        <>
          <PageHead
            title={mandate.label}
            hint={<span className="mono">{mandate.slug}</span>}
            backTo={backTo}
            actions={
              <Group gap="xs">
                <EditButton onClick={() => setEditing(true)} />
                <ActionButtons actions={actionsOf(mandate)} />
              </Group>
            }
          />
          <ItemFacts enabled={mandate.enabled} createdAt={mandate.createdAt} id={mandate.id} />
          <h2 className="section">{say('members')}</h2>
          <PeopleList people={membersOf(id)} kind="member" realm="platform" mandateId={id} />
          {dialog}
          {isEditing && <MandateForm mandate={mandate} onClose={() => setEditing(false)} />}
        </>
      )}
    </OneItem>
  )
}
