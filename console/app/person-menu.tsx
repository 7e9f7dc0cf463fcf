import { Menu, UnstyledButton, useMantineColorScheme, type MantineColorScheme } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { gateway } from '../api/client'
import { Icon, type IconName } from '../parts/icons'
import { leave } from '../parts/unsaved'
import { chooseLanguage, languages, useLanguage, useText } from '../texts/language'
import { useSession } from './session'

const schemes: [MantineColorScheme, IconName][] = [
  ['auto', 'gauge'],
  ['light', 'sun'],
  ['dark', 'moon'],
]
const tick = (isOn: boolean) => (isOn ? <Icon name="check" size={14} /> : null)

/** The menu of the signed-in user: appearance, language and signing out. */
export function PersonMenu() {
  const say = useText()
  const language = useLanguage()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const queries = useQueryClient()
  const { user } = useSession()
  const name = user.fullName ?? user.username
  const level = user.isSysAdmin
    ? say('level.sysAdmin')
    : user.isPlatformAdmin
      ? say('level.platformAdmin')
      : user.username
  const signOut = async () => {
    await gateway.logout().catch(() => undefined) // where it fails, the next request will tell
    queries.clear()
    window.location.assign('/console')
  }
  return (
    <Menu width={220} position="top-start" shadow="md">
      <Menu.Target>
        <UnstyledButton className="person">
          <span className="visually-hidden">{say('menu.person', { name })}</span>
          <span className="tile" aria-hidden="true">
            {name.slice(0, 1).toUpperCase()}
          </span>
          <span className="grow" aria-hidden="true">
            <span className="line-1">{name}</span>
            <span className="line-2">{level}</span>
          </span>
          <Icon name="up" size={14} />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{say('scheme')}</Menu.Label>
        {schemes.map(([scheme, icon]) => (
          <Menu.Item
            key={scheme}
            leftSection={<Icon name={icon} size={14} />}
            rightSection={tick(colorScheme === scheme)}
            onClick={() => setColorScheme(scheme)}
          >
            {say(`scheme.${scheme}`)}
          </Menu.Item>
        ))}
        <Menu.Label>{say('language')}</Menu.Label>
        {languages.map(({ code, name }) => (
          <Menu.Item
            key={code}
            leftSection={<Icon name="language" size={14} />}
            rightSection={tick(language === code)}
            onClick={() => chooseLanguage(code)}
            lang={code}
          >
            {name}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item component="a" href="/docs" leftSection={<Icon name="file" size={14} />}>
          {say('nav.help')}
        </Menu.Item>
        <Menu.Item leftSection={<Icon name="exit" size={14} />} onClick={() => leave(() => void signOut())}>
          {say('signOut')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
