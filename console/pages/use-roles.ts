import { useQuery } from '@tanstack/react-query'
import { rolesOf, type Realm, type Role } from '../api/realms'

/** A place whose people have roles: a mandate, or an instance of it. */
interface Place {
  realm: Realm
  mandateId: string
  instanceId?: string
}

/** The roles that can be given in a place, and what any role is called. */
export interface Roles {
  roles: Role[]
  labelOf: (id: string) => string
}

/**
 * Returns the roles that count in a place: those of its mandate and global ones, or those of an instance. It
 * names other roles, too, since people may hold them there.
 */
export function useRoles({ realm, mandateId, instanceId }: Place): Roles {
  const { data: all = [] } = useQuery({
    queryKey: [realm === 'mandate' ? 'mandate' : 'roles', 'choice', mandateId, instanceId],
    retry: false,
    queryFn: async () => {
      const { list } = rolesOf(realm)
      const pages = await Promise.all(
        [{ mandateId }, {}, ...(instanceId === undefined ? [] : [{ instanceId }])].map((of) =>
          list({ limit: '200', ...of }),
        ),
      )
      return [...new Map(pages.flatMap(({ items }) => items).map((role) => [role.id, role])).values()]
    },
  })
  const counts = (role: Role) =>
    instanceId === undefined
      ? role.scope === 'global' || (role.scope === 'mandate' && role.mandateId === mandateId)
      : role.featureInstanceId === instanceId
  return {
    roles: all.filter(counts),
    labelOf: (id) => all.find((role) => role.id === id)?.label ?? id.slice(-6),
  }
}
