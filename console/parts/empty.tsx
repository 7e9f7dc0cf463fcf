import type { ReactNode } from 'react'
import { Icon, type IconName } from './icons'

/** Tells the user that there is nothing here, and what to do about it. */
export function Empty({
  icon = 'list',
  title,
  hint,
  action,
}: {
  icon?: IconName
  title: string
  hint?: string
  action?: ReactNode
}) {
  return (
    <div className="empty">
      <Icon name={icon} size={30} />
      <strong>{title}</strong>
      {hint && <p>{hint}</p>}
      {action}
    </div>
  )
}
