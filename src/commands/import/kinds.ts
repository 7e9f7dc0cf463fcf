import type { ValueType } from './values.js'

/** A column that an import fills. */
export interface Column {
  type: ValueType
  /** It must be mapped, and each row must have a value. */
  required?: true
  /** What an empty value becomes. */
  fallback?: string | boolean
  /** SQL for a new row whose value is empty. */
  orElse?: string
  /** The kind whose row it names. */
  of?: KindName
  /** A later import may change it, where this SQL about the new row `s` and the row here `t` holds. */
  updates?: string
}

/** One kind of row, which is one table. */
export interface Kind {
  columns: Record<string, Column>
  /** What tells rows apart: SQL of each column. `id` where the row's own id does. */
  key: readonly string[]
  /** SQL that no two rows may share, by the column that a refusal names. */
  unique?: readonly [column: string, expression: string]
  /** The row that a column names may also be named by these columns of it. */
  via?: { column: string; kind: KindName; by: readonly [string, string] }
  /** New rows for which this SQL holds let nobody in any more, and are left out. */
  ended?: string
  /** Further checks: a reason, and SQL that holds for a row `s` to be refused. */
  refuse?: readonly (readonly [reason: string, condition: string])[]
}

const always = 'true'
/** An import makes accounts with a platform level, and changes nothing of what they sign in with. */
const withoutLevel = 'not (t.is_sys_admin or t.is_platform_admin)'
const id = { type: 'uuid', required: true } as const
const optionalId = { type: 'uuid', orElse: 'gen_random_uuid()' } as const
const orNow = { type: 'time', orElse: 'now()' } as const
const label = { type: 'text', required: true, updates: always } as const
const enabled = { type: 'boolean', fallback: true, updates: always } as const
const level = { type: 'level', fallback: 'n', updates: always } as const
const of = (kind: KindName) => ({ type: 'uuid', required: true, of: kind }) as const

export const kindNames = [
  'mandates',
  'users',
  'features',
  'feature_instances',
  'roles',
  'access_rules',
  'user_mandates',
  'user_mandate_roles',
  'feature_access',
  'feature_access_roles',
  'sessions',
  'tokens',
] as const
export type KindName = (typeof kindNames)[number]

/** All kinds, in the order in which they are imported: a row is there before another names it. */
export const kinds: Readonly<Record<KindName, Kind>> = {
  mandates: {
    key: ['id'],
    unique: ['slug', 'slug'],
    columns: { id, slug: { type: 'slug', required: true }, label, enabled },
  },
  users: {
    key: ['id'],
    unique: ['username', 'lower(username)'],
    columns: {
      id,
      username: { type: 'username', required: true },
      email: { type: 'text', updates: always },
      full_name: { type: 'text', updates: always },
      password_hash: { type: 'hash', updates: withoutLevel },
      enabled: { ...enabled, updates: withoutLevel },
      is_sys_admin: { type: 'boolean', fallback: false },
      is_platform_admin: { type: 'boolean', fallback: false },
      is_service_account: { type: 'boolean', fallback: false },
    },
    refuse: [
      [
        'username: the user is called otherwise here, and usernames never change',
        'exists (select from users t where t.id = s.id and t.username <> s.username)',
      ],
    ],
  },
  features: { key: ['code'], columns: { code: { type: 'text', required: true }, label } },
  feature_instances: {
    key: ['id'],
    columns: {
      id,
      mandate_id: of('mandates'),
      feature_code: { type: 'text', required: true },
      label,
      enabled,
    },
    refuse: [
      [
        'feature_code: there is no such feature here',
        'not exists (select from features t where t.code = s.feature_code)',
      ],
    ],
  },
  roles: {
    key: ['id'],
    columns: {
      id,
      mandate_id: { type: 'uuid', of: 'mandates' },
      feature_instance_id: { type: 'uuid', of: 'feature_instances' },
      label,
    },
  },
  access_rules: {
    key: ['role_id', 'context', `coalesce(item, '')`],
    columns: {
      id: optionalId,
      role_id: of('roles'),
      context: { type: 'context', required: true },
      item: { type: 'text' },
      view: { type: 'boolean', fallback: false, updates: always },
      read: level,
      create: level,
      update: level,
      delete: level,
    },
  },
  user_mandates: {
    key: ['user_id', 'mandate_id'],
    columns: { id: optionalId, user_id: of('users'), mandate_id: of('mandates'), enabled },
  },
  user_mandate_roles: {
    key: ['user_mandate_id', 'role_id'],
    via: { column: 'user_mandate_id', kind: 'user_mandates', by: ['user_id', 'mandate_id'] },
    columns: { user_mandate_id: of('user_mandates'), role_id: of('roles') },
    refuse: [
      [
        'role_id: the role is of another mandate, where it would not count',
        `exists (
      select
        from roles r
        join user_mandates m on m.id = s.user_mandate_id
       where r.id = s.role_id and (r.mandate_id <> m.mandate_id or r.feature_instance_id is not null))`,
      ],
    ],
  },
  feature_access: {
    key: ['user_id', 'feature_instance_id'],
    columns: { id: optionalId, user_id: of('users'), feature_instance_id: of('feature_instances'), enabled },
  },
  feature_access_roles: {
    key: ['feature_access_id', 'role_id'],
    via: { column: 'feature_access_id', kind: 'feature_access', by: ['user_id', 'feature_instance_id'] },
    columns: { feature_access_id: of('feature_access'), role_id: of('roles') },
    refuse: [
      [
        'role_id: the role is of another mandate or instance, where it would not count',
        `exists (
      select
        from roles r
        join feature_access a on a.id = s.feature_access_id
        join feature_instances i on i.id = a.feature_instance_id
       where r.id = s.role_id and (r.mandate_id <> i.mandate_id or r.feature_instance_id <> i.id))`,
      ],
    ],
  },
  sessions: {
    key: ['id'],
    ended: 's.ended_at is not null',
    columns: {
      id,
      user_id: of('users'),
      authority: { type: 'authority', fallback: 'local' },
      ended_at: { type: 'time', updates: 's.ended_at is not null' },
      created_at: orNow,
    },
  },
  tokens: {
    key: ['id'],
    ended: `s.status = 'revoked' or s.expires_at <= now()`,
    columns: {
      id,
      user_id: of('users'),
      authority: { type: 'authority', fallback: 'local' },
      purpose: { type: 'purpose', fallback: 'auth_session' },
      session_id: { type: 'uuid' },
      status: { type: 'status', fallback: 'active', updates: `s.status = 'revoked'` },
      issued_at: orNow,
      expires_at: { type: 'time', required: true },
    },
    refuse: [
      [
        'session_id: the session is of another user',
        'exists (select from sessions t where t.id = s.session_id and t.user_id <> s.user_id)',
      ],
    ],
  },
}
