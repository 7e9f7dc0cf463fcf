import { Group } from '@mantine/core'
import { accessTo, instancesOf, type Realm } from '../api/realms'
import { ActionButtons } from '../parts/actions'
import { useConfirm } from '../parts/confirm'
import { ItemFacts } from '../parts/facts'
import { OneItem } from '../parts/one-item'
import { PageHead } from '../parts/page-head'
import { useText } from '../texts/language'
import { useInstanceActions } from './instances'
import { PeopleList } from './people'

function OneInstance({ realm, id }: { realm: Realm; id: string }) {
  const say = useText()
  const [ask, dialog] = useConfirm()
  const actionsOf = useInstanceActions(realm, ask)
  const backTo = { href: realm === 'mandate' ? '/instances' : '/all-instances', label: say('instances') }
  return (
    <OneItem
      title={say('instance')}
      backTo={backTo}
      queryKey={[realm, 'instances', 'one', id]}
      load={() => instancesOf(realm).get(id)}
    >
      {(instance) => (
        <>
          <PageHead
            title={instance.label}
            hint={say('access.hint')}
            backTo={backTo}
            actions={
              <Group gap="xs">
                <ActionButtons actions={actionsOf(instance)} />
              </Group>
            }
          />
          <ItemFacts
            enabled={instance.enabled}
            createdAt={instance.createdAt}
            id={instance.id}
            own={[[say('instance.feature'), <span className="mono">{instance.featureCode}</span>]]}
          />
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
      )}
    </OneItem>
  )
}

export const InstancePage = ({ id }: { id: string }) => <OneInstance realm="mandate" id={id} />
export const AnyInstancePage = ({ id }: { id: string }) => <OneInstance realm="platform" id={id} />
