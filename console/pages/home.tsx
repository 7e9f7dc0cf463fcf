import { Badge, Button, Group, Text } from '@mantine/core'
import { useSession, type Membership } from '../app/session'
import { Empty } from '../parts/empty'
import { PageHead } from '../parts/page-head'
import { State } from '../parts/state'
import { useText } from '../texts/language'

function MandateCard({ membership: { mandate, enabled, roles, instances } }: { membership: Membership }) {
  const say = useText()
  const { mandateId, enter } = useSession()
  const isUsable = enabled && mandate.enabled
  return (
    <article className="card padded mandate-card">
      <Group wrap="nowrap" gap="sm" mb={12}>
        <span className="tile" aria-hidden="true">
          {mandate.label.slice(0, 1).toUpperCase()}
        </span>
        <div className="grow">
          <Text fw={600} truncate>
            {mandate.label}
          </Text>
          <span className="sub mono">{mandate.slug}</span>
        </div>
        {!isUsable && (
          <State kind="bad">{say(mandate.enabled ? 'mandate.membershipDisabled' : 'mandate.disabled')}</State>
        )}
      </Group>
      <dl className="facts">
        <dt>{say('home.roles')}</dt>
        <dd>
          {roles.length === 0 ? (
            <span className="soft">{say('home.noRoles')}</span>
          ) : (
            <Group gap={5}>
              {roles.map((role) => (
                <Badge key={role.id}>{role.label}</Badge>
              ))}
            </Group>
          )}
        </dd>
        {instances.length > 0 && (
          <>
            <dt>{say('home.instances')}</dt>
            <dd>
              <Group gap={5}>
                {instances.map((one) => (
                  <Badge
                    key={one.id}
                    color="gray"
                    {...(one.enabled && one.accessEnabled ? {} : { td: 'line-through' })}
                  >
                    {one.label}
                  </Badge>
                ))}
              </Group>
            </dd>
          </>
        )}
      </dl>
      {isUsable && (
        <Button
          mt="auto"
          variant={mandate.id === mandateId ? 'light' : 'default'}
          size="xs"
          disabled={mandate.id === mandateId}
          onClick={() => enter(mandate.id)}
        >
          {say(mandate.id === mandateId ? 'home.entered' : 'home.enter')}
        </Button>
      )}
    </article>
  )
}

/** The home page: the user, and the mandates they can work in. */
export function Home() {
  const say = useText()
  const { user, memberships } = useSession()
  return (
    <>
      <PageHead title={say('home.hello', { name: user.fullName ?? user.username })} hint={user.email} />
      <h2 className="section">{say('home.mandates')}</h2>
      {memberships.length === 0 ? (
        <div className="card">
          <Empty
            icon="building"
            title={say('home.mandates.empty')}
            hint={say('home.mandates.empty.hint', { username: user.username })}
          />
        </div>
      ) : (
        <div className="tiles">
          {memberships.map((one) => (
            <MandateCard key={one.mandate.id} membership={one} />
          ))}
        </div>
      )}
    </>
  )
}
