import { found, given } from './fields.js'
import type { Role } from './role-queries.js'
import { concernOfRole, roleToChange } from './roles.js'
import { deleteRule, findRuleForUpdate, insertRule, updateRule, type Rule } from './rule-queries.js'
import type { Edit } from './scope.js'

/** Adds a rule to a role. Rejects with `conflict` if the role has one for the same context and item. */
export async function makeRule(edit: Edit, rule: Omit<Rule, 'id'>): Promise<Rule> {
  const role = await roleToChange(edit, rule.roleId)
  await edit.about(concernOfRole(role))
  const after = await insertRule(edit.tx, rule)
  await edit.record({ mandateId: role.mandateId, action: 'rule_created', subject: `rule:${after.id}`, after })
  return after
}

async function beginChange(edit: Edit, id: string): Promise<{ before: Rule; role: Role }> {
  const before = found(await findRuleForUpdate(edit.tx, id))
  const role = await roleToChange(edit, before.roleId)
  edit.checkUnchanged(before)
  await edit.about(concernOfRole(role))
  return { before, role }
}

/** The fields of a rule that a change may have. */
export type RuleChange = { [Name in Exclude<keyof Rule, 'id' | 'roleId'>]?: Rule[Name] | undefined }

/** Changes a rule. Throws `not_found`, `permission_denied`, `changed_meanwhile` and `conflict`. */
export async function changeRule(edit: Edit, id: string, change: RuleChange): Promise<Rule> {
  const { before, role } = await beginChange(edit, id)
  const after = { ...before, ...given(change) }
  await updateRule(edit.tx, after)
  await edit.record({
    mandateId: role.mandateId,
    action: 'rule_changed',
    subject: `rule:${before.id}`,
    before,
    after,
  })
  return after
}

/** Deletes a rule. Throws `not_found`, `permission_denied` and `changed_meanwhile`. */
export async function removeRule(edit: Edit, id: string): Promise<void> {
  const { before, role } = await beginChange(edit, id)
  await deleteRule(edit.tx, before.id)
  await edit.record({
    mandateId: role.mandateId,
    action: 'rule_deleted',
    subject: `rule:${before.id}`,
    before,
  })
}
