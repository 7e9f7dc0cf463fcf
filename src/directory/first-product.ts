import { makeFeature } from './features.js'
import { findFeature } from './feature-queries.js'
import { makeMandate } from './mandates.js'
import { findMandateOfSlug } from './mandate-queries.js'
import { addMembership } from './members.js'
import { findMember, memberships } from './member-queries.js'
import type { Edit } from './scope.js'
import { makeRole } from './roles.js'
import { findRoleOfMandate } from './role-queries.js'
import { makeRule } from './rules.js'
import { listRules, type Rule } from './rule-queries.js'
import { makeUser } from './users.js'
import { findUserId } from './user-queries.js'

/** The roles that a first product begins with. */
export const firstRoles = ['admin', 'member', 'viewer'] as const
export type FirstRole = (typeof firstRoles)[number]

/** What a first product is made of. */
export interface FirstProduct {
  mandate: { slug: string; label: string }
  /** The feature's code, which is also the item that its rules are about. */
  feature: string
  person: { username: string; email: string | null; fullName: string | null; role: FirstRole }
}

/** One thing that was made, or that was there already. */
export interface Step {
  what: 'mandate' | 'feature' | 'role' | 'person' | 'membership' | 'route'
  name: string
  id?: string
  made: boolean
}

type RuleBody = Omit<Rule, 'id' | 'roleId'>

const none = { read: 'n', create: 'n', update: 'n', delete: 'n' } as const
const everything = { view: true, read: 'a', create: 'a', update: 'a', delete: 'a' } as const

/**
 * What each role may do with an item: `RESOURCE` for its endpoints, `DATA` for its records, `UI` for its
 * pages. Admins also govern the mandate.
 */
function rulesOf(role: FirstRole, item: string): RuleBody[] {
  const levels = {
    admin: everything,
    member: { ...everything, delete: 'm' },
    viewer: { ...none, view: true, read: 'a' },
  } as const
  return [
    { context: 'RESOURCE', item, ...levels[role] },
    { context: 'DATA', item, ...levels[role] },
    { context: 'UI', item, ...none, view: true },
    ...(role === 'admin' ? [{ context: 'RESOURCE', item: 'gateway', ...everything } as const] : []),
  ]
}

/** Adds the rules that a role lacks; those that it has stay as they are. Returns whether it lacked some. */
async function completeRole(edit: Edit, roleId: string, rules: RuleBody[]): Promise<boolean> {
  let added = false
  for (const rule of rules) {
    const [known] = await listRules(edit.tx, {
      seenIn: undefined,
      roleId,
      context: rule.context,
      item: rule.item ?? '',
      after: undefined,
      atMost: 1,
    })
    if (known) continue
    await makeRule(edit, { roleId, ...rule })
    added = true
  }
  return added
}

async function ensureRole(
  edit: Edit,
  mandateId: string,
  role: FirstRole,
  item: string,
): Promise<Step & { id: string }> {
  const known = await findRoleOfMandate(edit.tx, mandateId, role)
  const { id } = known ?? (await makeRole(edit, { label: role, mandateId, featureInstanceId: null }))
  const added = await completeRole(edit, id, rulesOf(role, item))
  return {
    what: 'role',
    name: known && added ? `${role}, with rules for ${item}` : role,
    id,
    made: !known || added,
  }
}

/**
 * Makes what a first product lacks: its mandate, its feature, three roles with rules, a person who is a
 * member. What is there stays as it is. Returns the steps in their order, and the person's id where they were
 * made.
 */
export async function makeFirstProduct(
  edit: Edit,
  { mandate, feature, person: { role, ...person } }: FirstProduct,
): Promise<{ steps: Step[]; mandateId: string; newUserId: string | undefined }> {
  const steps: Step[] = []
  const knownMandate = await findMandateOfSlug(edit.tx, mandate.slug)
  const {
    id: mandateId,
    slug,
    label,
  } = knownMandate ?? (await makeMandate(edit, { ...mandate, enabled: true }))
  steps.push({ what: 'mandate', name: `${label} (${slug})`, id: mandateId, made: !knownMandate })

  const knownFeature = await findFeature(edit.tx, feature)
  if (!knownFeature) await makeFeature(edit, { code: feature, label: feature })
  steps.push({ what: 'feature', name: feature, made: !knownFeature })

  const roles: (Step & { id: string })[] = []
  for (const one of firstRoles) roles.push(await ensureRole(edit, mandateId, one, feature))
  steps.push(...roles)

  const knownUserId = await findUserId(edit.tx, { username: person.username })
  const userId =
    knownUserId ?? (await makeUser(edit, { ...person, enabled: true, isPlatformAdmin: false })).id
  steps.push({ what: 'person', name: person.username, id: userId, made: knownUserId === undefined })

  const membership = await findMember(
    edit.tx,
    { kind: memberships, withinId: mandateId, seesAll: true },
    userId,
  )
  if (!membership) await addMembership(edit, mandateId, userId, [roles[firstRoles.indexOf(role)]?.id ?? ''])
  steps.push({
    what: 'membership',
    name: `${person.username} in ${slug}${membership ? '' : `, as ${role}`}`,
    made: !membership,
  })
  return { steps, mandateId, newUserId: knownUserId === undefined ? userId : undefined }
}
