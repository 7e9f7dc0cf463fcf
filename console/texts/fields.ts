import type { TextKey } from './language'

/** The texts that name the fields of items. */
const names: Record<string, TextKey> = {
  username: 'signIn.username',
  password: 'signIn.password',
  currentPassword: 'password.current',
  newPassword: 'password.new',
  fullName: 'user.fullName',
  email: 'user.email',
  enabled: 'state',
  active: 'state',
  isPlatformAdmin: 'user.platformAdmin',
  isSysAdmin: 'level.sysAdmin',
  roleIds: 'member.roles',
  label: 'label',
  slug: 'mandate.slug',
  name: 'name',
  code: 'feature.code',
  featureCode: 'instance.feature',
  mandateId: 'mandate',
  clientName: 'project.clientName',
  clientId: 'portalClient',
  status: 'project.status',
  note: 'project.note',
  context: 'rule.context',
  item: 'rule.item',
  view: 'rule.view',
  read: 'rule.read',
  create: 'rule.create',
  update: 'rule.update',
  delete: 'rule.delete',
  plan: 'subscription.plan',
  requestsPerMonth: 'billing.requests',
  members: 'members',
  instances: 'instances',
  text: 'wording.text',
  updatedAt: 'project.changed',
  expiresAt: 'credential.expires',
}

/** The text that names a field, by its path such as `roleIds.0`; undefined for a field that has none. */
export const nameOfField = (path: string): TextKey | undefined => names[path.split('.')[0] ?? '']
