import { Button, Menu } from '@mantine/core'
import { useText } from '../texts/language'
import { Icon, type IconName } from './icons'

/** Something that can be done with an item: in the menu of its row, or by a button of its page. */
export interface Action {
  label: string
  icon: IconName
  isDestructive?: boolean
  onChoose: () => void
}

/** The button that opens the form of an item. */
export function EditButton({ onClick }: { onClick: () => void }) {
  const say = useText()
  return (
    <Button variant="default" leftSection={<Icon name="edit" size={14} />} onClick={onClick}>
      {say('edit')}
    </Button>
  )
}

/** A button for each action. */
export function ActionButtons({ actions }: { actions: Action[] }) {
  return actions.map(({ label, onChoose, isDestructive }) => (
    <Button key={label} variant="default" onClick={onChoose} {...(isDestructive ? { c: 'red' } : {})}>
      {label}
    </Button>
  ))
}

/** An entry of a menu for each action. */
export function ActionEntries({ actions }: { actions: Action[] }) {
  return actions.map(({ label, icon, isDestructive, onChoose }) => (
    <Menu.Item
      key={label}
      leftSection={<Icon name={icon} size={14} />}
      onClick={onChoose}
      {...(isDestructive ? { className: 'danger' } : {})}
    >
      {label}
    </Menu.Item>
  ))
}
