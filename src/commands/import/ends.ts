import type { KindName } from './kinds.js'

/** How rows of one kind `t` that are gone on the old side end here. */
export interface End {
  /** `delete`, or what is set, as SQL. */
  action: string
  /** The columns that say whether somebody has changed it here; by default all that an import may change. */
  compared?: readonly string[]
  /** Rows that never end by an import: a reason, and SQL. */
  left?: readonly (readonly [reason: string, condition: string])[]
  /** Rows that do not end yet, as something that stays hangs on them. */
  hanging?: readonly (readonly [reason: string, condition: string])[]
  /** What `imported_rows` keeps of it, as SQL: without it, it never comes back. */
  mark?: string
  /** The event of each row in the audit; without it, they are counted alone. */
  event?: string
  subject?: string
  mandate?: string
  before?: string
  after?: object
}

const removed = { action: 'delete', mark: `'{"ended": true}'::jsonb` } as const
const has = (table: string, column: string) => `exists (select from ${table} x where x.${column} = t.id)`
const mandateOfAccess = (access: string) =>
  `(select i.mandate_id::text from feature_access a join feature_instances i on i.id = a.feature_instance_id where a.id = ${access})`
const roles = (table: string, column: string) =>
  [['roles that stay are assigned to it', has(table, column)]] as const

/** Mandates, features and instances are not here: everybody's work hangs on them. */
export const ends: Readonly<Partial<Record<KindName, End>>> = {
  users: {
    action: 'enabled = false',
    compared: ['enabled'],
    left: [
      ['the account holds a platform level: disable it yourself', 't.is_sys_admin or t.is_platform_admin'],
    ],
    mark: `b.columns || jsonb_build_object('enabled', left(encode(sha256('false'), 'hex'), 32), 'ended', true)`,
    event: 'user_changed',
    subject: `'user:' || t.id`,
    before: `'{"enabled": true}'::jsonb`,
    after: { enabled: false },
  },
  roles: {
    ...removed,
    event: 'role_deleted',
    subject: `'role:' || t.id`,
    mandate: 't.mandate_id::text',
    before: `jsonb_build_object('label', t.label)`,
    hanging: [
      ['it has rules that stay', has('access_rules', 'role_id')],
      [
        'it is assigned to people',
        `${has('user_mandate_roles', 'role_id')} or ${has('feature_access_roles', 'role_id')}`,
      ],
    ],
  },
  access_rules: {
    ...removed,
    event: 'rule_deleted',
    subject: `'rule:' || t.id`,
    mandate: '(select r.mandate_id::text from roles r where r.id = t.role_id)',
    before: `jsonb_build_object('roleId', t.role_id, 'context', t.context, 'item', t.item)`,
  },
  user_mandates: {
    ...removed,
    event: 'member_removed',
    subject: `'member:' || t.id`,
    mandate: 't.mandate_id::text',
    before: `jsonb_build_object('userId', t.user_id)`,
    hanging: roles('user_mandate_roles', 'user_mandate_id'),
  },
  user_mandate_roles: {
    ...removed,
    event: 'member_changed',
    subject: `'member:' || t.user_mandate_id`,
    mandate: '(select m.mandate_id::text from user_mandates m where m.id = t.user_mandate_id)',
    before: `jsonb_build_object('roleId', t.role_id)`,
  },
  feature_access: {
    ...removed,
    event: 'access_removed',
    subject: `'access:' || t.id`,
    mandate: mandateOfAccess('t.id'),
    before: `jsonb_build_object('userId', t.user_id)`,
    hanging: roles('feature_access_roles', 'feature_access_id'),
  },
  feature_access_roles: {
    ...removed,
    event: 'access_changed',
    subject: `'access:' || t.feature_access_id`,
    mandate: mandateOfAccess('t.feature_access_id'),
    before: `jsonb_build_object('roleId', t.role_id)`,
  },
  sessions: { action: 'ended_at = now()' },
  tokens: { action: `status = 'revoked', revoked_at = now()` },
}

/** SQL for rows that allow anything: others need not end. */
export const stillCounts: Readonly<Partial<Record<KindName, string>>> = {
  mandates: 't.enabled',
  users: 't.enabled',
  feature_instances: 't.enabled',
  sessions: 't.ended_at is null',
  tokens: `t.status = 'active' and t.expires_at > now()`,
}
