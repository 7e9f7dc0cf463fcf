import type { Permission, ScopedRule } from '../coherence/directory.js'
import { allOf, where } from '../database/conditions.js'
import { rolesSeenIn } from './role-queries.js'
import type { Changing, Seen } from './scope.js'

/** An access rule. */
export interface Rule extends Permission {
  id: string
  roleId: string
  context: ScopedRule['context']
  /** Null: all items. */
  item: string | null
}

const columns =
  'a.id, a.role_id as "roleId", a.context, a.item, a.view, a."read", a."create", a."update", a."delete"'

interface RuleFilter {
  seenIn: string | undefined
  roleId: string | undefined
  context: Rule['context'] | undefined
  item: string | undefined
  after: (string | null)[] | undefined
  atMost: number
}

/** Rules by role, context and item. */
export async function listRules(
  sql: Seen,
  { seenIn, roleId, context, item, after, atMost }: RuleFilter,
): Promise<Rule[]> {
  const seen = rolesSeenIn(seenIn)
  const { sql: condition, values } = allOf([
    where(roleId, 'a.role_id = ?'),
    seen && [`a.role_id in (select r.id from roles r where ${seen[0]})`, ...seen.slice(1)],
    where(context, 'a.context = ?'),
    where(item, `coalesce(a.item, '') = ?`),
    after && [`(a.role_id, a.context, coalesce(a.item, '')) > (?::uuid, ?, ?)`, ...after],
  ])
  return await sql.rows<Rule>(
    `select ${columns} from access_rules a where ${condition} order by a.role_id, a.context, coalesce(a.item, '') limit ?`,
    [...values, atMost],
  )
}

/** The rule with that id. */
export async function findRule(sql: Seen, id: string): Promise<Rule | undefined> {
  const [rule] = await sql.rows<Rule>(`select ${columns} from access_rules a where a.id = ?`, [id])
  return rule
}

/** As `findRule`; where it may be changed it stays as it is until the transaction ends. */
export async function findRuleForUpdate(tx: Changing, id: string): Promise<Rule | undefined> {
  await tx.rows('select from access_rules where id = ? for update', [id])
  return await findRule(tx, id)
}

const valuesOf = ({
  context,
  item,
  view,
  read,
  create,
  update,
  delete: remove,
}: Omit<Rule, 'id' | 'roleId'>) => [context, item, view, read, create, update, remove]

/** Writes a rule. Rejects with `conflict` where the role has one for the same context and item. */
export async function insertRule(tx: Changing, rule: Omit<Rule, 'id'>): Promise<Rule> {
  const [inserted] = await tx.rows<Rule>(
    `
    insert into access_rules as a (role_id, context, item, view, "read", "create", "update", "delete") values (?, ?, ?, ?, ?, ?, ?, ?) returning ${columns}`,
    [rule.roleId, ...valuesOf(rule)],
  )
  if (!inserted) throw new Error('an insert answered no row')
  return inserted
}

/** Writes all of a rule but its role. Rejects with `conflict` as `insertRule` does. */
export async function updateRule(tx: Changing, rule: Rule): Promise<void> {
  await tx.run(
    'update access_rules set context = ?, item = ?, view = ?, "read" = ?, "create" = ?, "update" = ?, "delete" = ? where id = ?',
    [...valuesOf(rule), rule.id],
  )
}

/** Removes a rule. */
export async function deleteRule(tx: Changing, id: string): Promise<void> {
  await tx.run('delete from access_rules where id = ?', [id])
}
