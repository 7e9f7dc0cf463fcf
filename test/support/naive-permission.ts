import type { Level } from '../../src/domain/permissions.js'
import type { Permission } from '../../src/authorization/permissions.js'
import type { PrioritisedRule } from '../../src/context/request-context.js'

export const reach: Record<Level, number> = { n: 0, m: 1, g: 2, a: 3 }

/** What rules come to for (context, item), word by word and without any index. */
export function naivePermission(all: PrioritisedRule[], context: string, item: string | null): Permission {
  const matching = all.filter(
    ({ rule: one }) =>
      one.context === context &&
      (one.item === null || (item !== null && (one.item === item || item.startsWith(`${one.item}.`)))),
  )
  const closest = matching.filter(
    (one) =>
      !matching.some(
        (other) =>
          other.rule.roleId === one.rule.roleId &&
          (other.rule.item?.length ?? 0) > (one.rule.item?.length ?? 0),
      ),
  )
  const deciding = closest.filter(
    ({ priority }) => priority === Math.max(...closest.map((one) => one.priority)),
  )
  const most = (field: 'read' | 'create' | 'update' | 'delete') =>
    deciding.reduce<Level>(
      (level, one) => (reach[one.rule[field]] > reach[level] ? one.rule[field] : level),
      'n',
    )
  return {
    view: deciding.some((one) => one.rule.view),
    read: most('read'),
    create: most('create'),
    update: most('update'),
    delete: most('delete'),
  }
}
