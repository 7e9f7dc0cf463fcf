import { useQuery } from '@tanstack/react-query'
import { useSession } from '../app/session'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'

export type Project = components['schemas']['Project']
export type PortalClient = components['schemas']['PortalClient']
export type PortalLink = components['schemas']['PortalLink']

/** Returns the query key of the portal's data of this tab's mandate. */
export function usePortalKey() {
  return ['mandate', useSession().mandateId, 'portal'] as const
}

/** Returns the clients that a project can belong to. */
export function useClientChoice(): PortalClient[] {
  const key = usePortalKey()
  const { data = [] } = useQuery({
    queryKey: [...key, 'choice'],
    queryFn: async () =>
      (await answerOf(api.GET('/mandate/portal-clients', { params: { query: { limit: '200' } } }))).items,
  })
  return data
}
