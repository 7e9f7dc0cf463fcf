import { lazy, type ComponentType } from 'react'
import type { IconName } from '../parts/icons'
import type { TextKey } from '../texts/texts'
import type { Session } from './session'

export const groups = ['me', 'mandate', 'platform', 'system'] as const

/** A page of the console: where it is, and who may see it. The gateway decides again, on each request. */
export interface Page {
  path: string
  title: TextKey
  icon: IconName
  group: (typeof groups)[number]
  may: (session: Session) => boolean
  content: ComponentType
  /** What is shown of a single one, below. */
  below?: ComponentType<{ id: string }>
}

const anybody = () => true
const platformAdmin = ({ user }: Session) => user.isPlatformAdmin
const sysAdmin = ({ user }: Session) => user.isSysAdmin

const page = <Name extends string>(load: () => Promise<Record<Name, ComponentType>>, name: Name) => lazy(async () => ({ default: (await load())[name] }))

export const pages: Page[] = [
  { path: '/', title: 'home', icon: 'home', group: 'me', may: anybody, content: page(() => import('../pages/home'), 'Home') },
  { path: '/users', title: 'users', icon: 'users', group: 'platform', may: platformAdmin, content: page(() => import('../pages/users'), 'Users') },
  { path: '/nodes', title: 'nodes', icon: 'server', group: 'system', may: sysAdmin, content: page(() => import('../pages/nodes'), 'Nodes') },
]
