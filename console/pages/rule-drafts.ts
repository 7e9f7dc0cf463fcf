import { previewOf } from '../api/client'
import type { DryRun, Rule, rolesOf } from '../api/realms'
import type { Preview } from '../parts/effect'
import { rebased } from '../api/as-seen'
import { grantOf, isSame, nothing, type Grant } from '../parts/levels'

export type RuleSource = ReturnType<typeof rolesOf>

/** A rule that is being edited; `before` is absent for a new one. */
export interface Draft {
  key: string
  context: Rule['context']
  item: string | null
  grant: Grant
  before: Rule | undefined
  isRemoved: boolean
}

export const draftOf = (rule: Rule): Draft => ({
  key: rule.id,
  context: rule.context,
  item: rule.item,
  grant: grantOf(rule),
  before: rule,
  isRemoved: false,
})

export const newDraft = (context: Rule['context'], item: string | null): Draft => ({
  key: `${context} ${item ?? '*'}`,
  context,
  item,
  grant: { ...nothing, view: true, read: 'a' },
  before: undefined,
  isRemoved: false,
})

/** Returns whether the draft differs from its rule. */
export const isChanged = ({ before, grant, isRemoved }: Draft) =>
  before ? isRemoved || !isSame(grantOf(before), grant) : !isRemoved

/**
 * What is being edited, on top of the rules as they are now. Says whether somebody else has changed one that
 * is being edited.
 */
export function draftsOn(rules: Rule[], drafts: Draft[]): { drafts: Draft[]; isOverlaid: boolean } {
  const left = new Map(drafts.filter(isChanged).map((draft) => [draft.key, draft]))
  const kept = rules.map((rule) => {
    const draft = left.get(rule.id)
    return draft?.before
      ? { ...draft, grant: rebased(grantOf(draft.before), draft.grant, grantOf(rule)), before: rule }
      : draftOf(rule)
  })
  const isOverlaid = kept.some(
    (draft) =>
      draft.before &&
      isChanged(draft) &&
      !isSame(grantOf(draft.before), grantOf(left.get(draft.key)?.before ?? draft.before)),
  )
  const isGone = drafts.some(
    (draft) =>
      draft.before && isChanged(draft) && !draft.isRemoved && !rules.some((rule) => rule.id === draft.key),
  )
  const isThere = (draft: Draft) =>
    rules.some((rule) => rule.context === draft.context && rule.item === draft.item)
  return {
    drafts: [...kept, ...drafts.filter((draft) => draft.before === undefined && !isThere(draft))],
    isOverlaid: isOverlaid || isGone,
  }
}

/** Returns the requests that save the drafts, one for each rule. */
function changeOf(
  source: RuleSource,
  roleId: string,
  { before, context, item, grant, isRemoved }: Draft,
  dryRun: DryRun,
): Promise<object> {
  if (!before) return source.addRule(roleId, { context, item, ...grant }, dryRun)
  return isRemoved
    ? source.removeRule(before, dryRun)
    : source.changeRule(before, { context, item, ...grant }, dryRun)
}

/** Returns the dry runs of saving, rule by rule. */
export async function tryDrafts(source: RuleSource, roleId: string, drafts: Draft[]): Promise<Preview> {
  const previews = await Promise.all(
    drafts.filter(isChanged).map((draft) => previewOf(changeOf(source, roleId, draft, '1'))),
  )
  const sum = (countOf: (preview: Preview) => number) =>
    previews.reduce((total, one) => total + countOf(one), 0)
  return {
    dryRun: true,
    sessions: { count: sum((one) => one.sessions.count), ids: previews.flatMap((one) => one.sessions.ids) },
    tokens: { count: sum((one) => one.tokens.count), ids: previews.flatMap((one) => one.tokens.ids) },
    permissions: {
      count: sum((one) => one.permissions.count),
      items: previews.flatMap((one) => one.permissions.items),
      unseen: sum((one) => one.permissions.unseen),
    },
  }
}

/**
 * Saves rule by rule; answers the last receipt. What has been saved stays where a later one fails, and shows
 * when the page is loaded anew.
 */
export async function saveDrafts(source: RuleSource, roleId: string, drafts: Draft[]): Promise<object> {
  let answer: object = {}
  for (const draft of drafts.filter(isChanged)) answer = await changeOf(source, roleId, draft, '0')
  return answer
}
