import { Menu, Text, UnstyledButton } from '@mantine/core'
import { Icon } from '../parts/icons'
import { leave } from '../parts/unsaved'
import { useText } from '../texts/language'
import { useSession, type Membership } from './session'

const isUsable = ({ enabled, mandate }: Membership) => enabled && mandate.enabled

/** Switches the mandate of this tab. Other tabs keep theirs. */
export function MandateSwitcher() {
  const say = useText()
  const { memberships, mandateId, mandateLabel, enter } = useSession()
  if (memberships.length === 0) return null
  return (
    <Menu width={220} position="bottom-start" shadow="md">
      <Menu.Target>
        <UnstyledButton className="switcher">
          <span className="visually-hidden">
            {say('mandate.switch')}: {mandateLabel ?? say('mandate.none')}
          </span>
          <span className="tile" aria-hidden="true">
            {(mandateLabel ?? '–').slice(0, 1).toUpperCase()}
          </span>
          <span className="grow" aria-hidden="true">
            <span className="line-1">{mandateLabel ?? say('mandate.choose')}</span>
            <span className="line-2">{say('mandate.tab')}</span>
          </span>
          <Icon name="down" size={14} />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{say('mandate.switch')}</Menu.Label>
        {memberships.map((one) => (
          <Menu.Item
            key={one.mandate.id}
            disabled={!isUsable(one)}
            onClick={() => leave(() => enter(one.mandate.id))}
            rightSection={one.mandate.id === mandateId ? <Icon name="check" size={14} /> : null}
          >
            {one.mandate.label}
            {!isUsable(one) && (
              <Text size="xs" c="dimmed">
                {say(one.mandate.enabled ? 'mandate.membershipDisabled' : 'mandate.disabled')}
              </Text>
            )}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
