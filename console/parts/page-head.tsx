import { Group, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { useText } from '../texts/language'
import { Icon } from './icons'

/** The head of a page: its title, its purpose, and its actions. */
export function PageHead({
  title,
  hint,
  actions,
  backTo,
}: {
  title: ReactNode
  hint?: ReactNode
  actions?: ReactNode
  backTo?: { href: string; label: string }
}) {
  const say = useText()
  return (
    <div className="page-head">
      <div>
        {backTo && (
          <Link href={backTo.href} className="row-link soft" aria-label={`${say('back')}: ${backTo.label}`}>
            <Group gap={5} mb={6}>
              <Icon name="back" size={13} />
              {backTo.label}
            </Group>
          </Link>
        )}
        <Title order={1}>{title}</Title>
        {hint && <p>{hint}</p>}
      </div>
      {actions && <Group gap="xs">{actions}</Group>}
    </div>
  )
}
