import { lazy, type ComponentType } from 'react'
import type { IconName } from '../parts/icons'
import type { TextKey } from '../texts/language'
import type { MandateItem, Session } from './session'

export const groups = ['me', 'mandate', 'platform', 'system'] as const

/** A page of the console: its address, and who may see it. The gateway decides again on each request. */
export interface Page {
  path: string
  title: TextKey
  icon: IconName
  group: (typeof groups)[number]
  may: (session: Session) => boolean
  content: ComponentType
  /** The page of a single item, below this address. */
  below?: ComponentType<{ id: string }>
}

const anybody = () => true
const platformAdmin = ({ user }: Session) => user.isPlatformAdmin
const sysAdmin = ({ user }: Session) => user.isSysAdmin
const mandateAdmin =
  (item: MandateItem) =>
  ({ permissions }: Session) =>
    (permissions?.[item]?.read ?? 'n') !== 'n'

const page = <Name extends string>(load: () => Promise<Record<Name, ComponentType>>, name: Name) =>
  lazy(async () => ({ default: (await load())[name] }))
const onePage = <Name extends string>(
  load: () => Promise<Record<Name, ComponentType<{ id: string }>>>,
  name: Name,
) => lazy(async () => ({ default: (await load())[name] }))

export const pages: Page[] = [
  {
    path: '/',
    title: 'home',
    icon: 'home',
    group: 'me',
    may: anybody,
    content: page(() => import('../pages/home'), 'Home'),
  },
  {
    path: '/account',
    title: 'sessions.mine',
    icon: 'clock',
    group: 'me',
    may: anybody,
    content: page(() => import('../pages/account'), 'Account'),
  },

  {
    path: '/members',
    title: 'members',
    icon: 'users',
    group: 'mandate',
    may: mandateAdmin('gateway.members'),
    content: page(() => import('../pages/members'), 'Members'),
  },
  {
    path: '/roles',
    title: 'roles',
    icon: 'shield',
    group: 'mandate',
    may: mandateAdmin('gateway.roles'),
    content: page(() => import('../pages/roles'), 'Roles'),
    below: onePage(() => import('../pages/role'), 'RolePage'),
  },
  {
    path: '/instances',
    title: 'instances',
    icon: 'grid',
    group: 'mandate',
    may: mandateAdmin('gateway.instances'),
    content: page(() => import('../pages/instances'), 'Instances'),
    below: onePage(() => import('../pages/instance'), 'InstancePage'),
  },
  {
    path: '/projects',
    title: 'projects',
    icon: 'folder',
    group: 'mandate',
    may: mandateAdmin('gateway.portal'),
    content: page(() => import('../pages/projects'), 'Projects'),
  },
  {
    path: '/portal-clients',
    title: 'portalClients',
    icon: 'link',
    group: 'mandate',
    may: mandateAdmin('gateway.portal'),
    content: page(() => import('../pages/portal-clients'), 'PortalClients'),
    below: onePage(() => import('../pages/portal-client'), 'PortalClientPage'),
  },
  {
    path: '/audit',
    title: 'audit',
    icon: 'list',
    group: 'mandate',
    may: mandateAdmin('gateway.audit'),
    content: page(() => import('../pages/audit'), 'Audit'),
  },
  {
    path: '/explain',
    title: 'explain',
    icon: 'help',
    group: 'mandate',
    may: mandateAdmin('gateway.roles'),
    content: page(() => import('../pages/explain'), 'Explain'),
  },

  {
    path: '/users',
    title: 'users',
    icon: 'users',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/users'), 'Users'),
    below: onePage(() => import('../pages/user'), 'UserPage'),
  },
  {
    path: '/first-access',
    title: 'openLinks',
    icon: 'link',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/open-links'), 'OpenLinks'),
  },
  {
    path: '/mandates',
    title: 'mandates',
    icon: 'building',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/mandates'), 'Mandates'),
    below: onePage(() => import('../pages/mandate'), 'MandatePage'),
  },
  {
    path: '/all-roles',
    title: 'roles',
    icon: 'shield',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/roles'), 'AllRoles'),
    below: onePage(() => import('../pages/role'), 'AnyRolePage'),
  },
  {
    path: '/features',
    title: 'features',
    icon: 'box',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/features'), 'Features'),
  },
  {
    path: '/all-instances',
    title: 'instances',
    icon: 'grid',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/instances'), 'AllInstances'),
    below: onePage(() => import('../pages/instance'), 'AnyInstancePage'),
  },
  {
    path: '/subscriptions',
    title: 'subscriptions',
    icon: 'card',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/subscriptions'), 'Subscriptions'),
  },
  {
    path: '/usage',
    title: 'usage',
    icon: 'chart',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/usage'), 'Usage'),
  },
  {
    path: '/billing',
    title: 'billing',
    icon: 'receipt',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/billing'), 'Billing'),
  },
  {
    path: '/service-accounts',
    title: 'programs',
    icon: 'robot',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/programs'), 'Programs'),
    below: onePage(() => import('../pages/program'), 'ProgramPage'),
  },
  {
    path: '/all-audit',
    title: 'audit',
    icon: 'list',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/audit'), 'AuditEverywhere'),
  },
  {
    path: '/all-explain',
    title: 'explain',
    icon: 'help',
    group: 'platform',
    may: platformAdmin,
    content: page(() => import('../pages/explain'), 'ExplainAnywhere'),
  },

  {
    path: '/overview',
    title: 'overview',
    icon: 'gauge',
    group: 'system',
    may: sysAdmin,
    content: page(() => import('../pages/overview'), 'Overview'),
  },
  {
    path: '/nodes',
    title: 'nodes',
    icon: 'server',
    group: 'system',
    may: sysAdmin,
    content: page(() => import('../pages/nodes'), 'Nodes'),
  },
  {
    path: '/sessions',
    title: 'sessions',
    icon: 'clock',
    group: 'system',
    may: sysAdmin,
    content: page(() => import('../pages/all-sessions'), 'AllSessions'),
  },
  {
    path: '/tokens',
    title: 'tokens',
    icon: 'key',
    group: 'system',
    may: sysAdmin,
    content: page(() => import('../pages/tokens'), 'Tokens'),
  },
  {
    path: '/admins',
    title: 'admins',
    icon: 'shield',
    group: 'system',
    may: sysAdmin,
    content: page(() => import('../pages/admins'), 'Admins'),
  },
  {
    path: '/translations',
    title: 'wording',
    icon: 'language',
    group: 'system',
    may: sysAdmin,
    content: page(() => import('../pages/wording'), 'Wording'),
  },
  {
    path: '/routes',
    title: 'routes',
    icon: 'route',
    group: 'system',
    may: sysAdmin,
    content: page(() => import('../pages/routes'), 'Routes'),
  },
  {
    path: '/keys',
    title: 'keys',
    icon: 'key',
    group: 'system',
    may: sysAdmin,
    content: page(() => import('../pages/keys'), 'Keys'),
  },
  {
    path: '/database',
    title: 'database',
    icon: 'database',
    group: 'system',
    may: sysAdmin,
    content: page(() => import('../pages/database'), 'DatabasePage'),
  },
  {
    path: '/logs',
    title: 'logs',
    icon: 'file',
    group: 'system',
    may: sysAdmin,
    content: page(() => import('../pages/logs'), 'Logs'),
  },
]
