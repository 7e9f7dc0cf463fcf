import { Button, Group } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { accessTo, instancesOf, type Realm } from '../api/realms'
import { useConfirm } from '../parts/confirm'
import { blocking, FaultNote } from '../parts/fault'
import { PageHead } from '../parts/page-head'
import { EnabledState } from '../parts/state'
import { Waiting } from '../parts/waiting'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { useInstanceActions } from './instances'
import { PeopleList } from './people'

function OneInstance({ realm, id }: { realm: Realm; id: string }) {
  const say = useText()
  const { dateTime } = useFormat()
  const [ask, dialog] = useConfirm()
  const actionsOf = useInstanceActions(realm, ask)
  const {
    data: instance,
    refetch,
    ...query
  } = useQuery({ queryKey: [realm, 'instances', 'one', id], queryFn: () => instancesOf(realm).get(id) })
  const backTo = { href: realm === 'mandate' ? '/instances' : '/all-instances', label: say('instances') }
  const error = blocking({ data: instance, error: query.error })
  if (error)
    return (
      <>
        <PageHead title={say('instance')} backTo={backTo} />
        <FaultNote error={error} onRetry={() => void refetch()} />
      </>
    )
  if (!instance) return <Waiting />
  return (
    <>
      <PageHead
        title={instance.label}
        hint={say('access.hint')}
        backTo={backTo}
        actions={
          <Group gap="xs">
            {actionsOf(instance).map(({ label, onChoose, isDestructive }) => (
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
            <EnabledState enabled={instance.enabled} />
          </dd>
          <dt>{say('instance.feature')}</dt>
          <dd className="mono">{instance.featureCode}</dd>
          <dt>{say('user.created')}</dt>
          <dd>{dateTime(instance.createdAt)}</dd>
          <dt>Id</dt>
          <dd className="mono">{instance.id}</dd>
        </dl>
      </div>
      <h2 className="section">{say('access')}</h2>
      <PeopleList
        people={accessTo(realm, id)}
        kind="access"
        realm={realm}
        mandateId={instance.mandateId}
        instanceId={id}
      />
      {dialog}
    </>
  )
}

export const InstancePage = ({ id }: { id: string }) => <OneInstance realm="mandate" id={id} />
export const AnyInstancePage = ({ id }: { id: string }) => <OneInstance realm="platform" id={id} />
