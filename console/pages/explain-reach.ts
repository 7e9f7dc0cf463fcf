import { useQuery } from '@tanstack/react-query'
import { answerOf, api, previewOf } from '../api/client'
import { rolesOf } from '../api/realms'
import { grantOf, nothing } from '../parts/levels'
import { useText } from '../texts/language'
import type { Props } from './explain-cures'

/** The global role that a platform admin could change for a yes, and what its rule would be about. */
function wideningOf({ realm, verdict: { deciding, subject, refusal }, roles }: Props) {
  if (realm !== 'platform' || refusal?.code !== 'permission_denied' || !subject?.action) return undefined
  const [first] = deciding
  const roleId = first
    ? first.priority === 1
      ? first.roleId
      : undefined
    : roles.find((role) => role.scope === 'global')?.id
  return roleId === undefined
    ? undefined
    : {
        roleId,
        context: subject.context,
        item: first ? first.item : subject.item,
        action: subject.action,
        hasRule: first !== undefined,
      }
}

/**
 * Whom it would concern if that role allowed the action to everybody who holds it: tried by the gateway, and
 * not done.
 */
export function useReach(props: Props): string {
  const say = useText()
  const widening = wideningOf(props)
  const { data } = useQuery({
    queryKey: ['explain reach', widening],
    enabled: widening !== undefined,
    retry: false,
    queryFn: async () => {
      if (!widening) return null
      const { roleId, context, item, action, hasRule } = widening
      const { addRule, changeRule } = rolesOf('platform')
      const { items } = hasRule
        ? await answerOf(
            api.GET('/admin/rules', { params: { query: { roleId, context, item: item ?? '' } } }),
          )
        : { items: [] }
      const rule = items.find((one) => one.context === context && one.item === item)
      const { permissions } = await previewOf(
        rule
          ? changeRule(rule, { ...grantOf(rule), context, item, [action]: 'a' }, '1')
          : addRule(roleId, { context, item, ...nothing, view: true, [action]: 'a' }, '1'),
      )
      const countOf = (ids: string[]) => new Set(ids).size
      return {
        people: countOf(permissions.items.map((one) => one.userId)),
        mandates: countOf(permissions.items.map((one) => one.mandateId)),
        isAll: permissions.unseen === 0 && permissions.count === permissions.items.length,
      }
    },
  })
  if (!data) return say('explain.reach.unknown')
  return say(data.isAll ? 'explain.reach' : 'explain.reach.more', {
    people: data.people,
    mandates: data.mandates,
  })
}
