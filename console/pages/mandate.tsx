import { Button, Group } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api } from '../api/client'
import { membersOf } from '../api/realms'
import { useConfirm } from '../parts/confirm'
import { blocking, FaultNote } from '../parts/fault'
import { Icon } from '../parts/icons'
import { PageHead } from '../parts/page-head'
import { EnabledState } from '../parts/state'
import { Waiting } from '../parts/waiting'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { useMandateActions } from './mandate-actions'
import { MandateForm } from './mandates'
import { PeopleList } from './people'

/** One mandate as platform admins govern it, with its members. */
export function MandatePage({ id }: { id: string }) {
  const say = useText()
  const { dateTime } = useFormat()
  const [ask, dialog] = useConfirm()
  const actionsOf = useMandateActions(ask)
  const [isEditing, setEditing] = useState(false)
  const {
    data: mandate,
    refetch,
    ...query
  } = useQuery({
    queryKey: ['mandates', 'one', id],
    queryFn: () => answerOf(api.GET('/admin/mandates/{id}', { params: { path: { id } } })),
  })
  const backTo = { href: '/mandates', label: say('mandates') }
  const error = blocking({ data: mandate, error: query.error })
  if (error)
    return (
      <>
        <PageHead title={say('mandate')} backTo={backTo} />
        <FaultNote error={error} onRetry={() => void refetch()} />
      </>
    )
  if (!mandate) return <Waiting />
  return (
    <>
      <PageHead
        title={mandate.label}
        hint={<span className="mono">{mandate.slug}</span>}
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
            {actionsOf(mandate).map(({ label, onChoose, isDestructive }) => (
              <Button
                key={label}
                variant="default"
                onClick={onChoose}
                {...(isDestructive ? { c: 'red' } : {})}
              >
                {label}
              </Button>
            ))}
          </Group>
        }
      />
      <div className="card padded">
        <dl className="facts">
          <dt>{say('state')}</dt>
          <dd>
            <EnabledState enabled={mandate.enabled} />
          </dd>
          <dt>{say('user.created')}</dt>
          <dd>{dateTime(mandate.createdAt)}</dd>
          <dt>Id</dt>
          <dd className="mono">{mandate.id}</dd>
        </dl>
      </div>
      <h2 className="section">{say('members')}</h2>
      <PeopleList people={membersOf(id)} kind="member" realm="platform" mandateId={id} />
      {dialog}
      {isEditing && <MandateForm mandate={mandate} onClose={() => setEditing(false)} />}
    </>
  )
}
