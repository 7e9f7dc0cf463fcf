import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createContext, useCallback, useContext, useEffect } from 'react'
import { ProblemError } from '../../packages/client/src/index'
import { answerOf, api, gateway } from '../api/client'
import type { components, paths } from '../api/schema'

type Answer<Path extends keyof paths> = paths[Path] extends {
  get: { responses: { 200: { content: { 'application/json': infer Body } } } }
}
  ? Body
  : never
export type Me = Answer<'/auth/me'>
export type Membership = Me['memberships'][number]
export type Permission = Answer<'/auth/permissions'>
export type Coherence = components['schemas']['Coherence']

/** The items whose rules give administrators of a mandate their permissions. */
export const mandateItems = [
  'gateway.members',
  'gateway.roles',
  'gateway.instances',
  'gateway.audit',
  'gateway.portal',
] as const
export type MandateItem = (typeof mandateItems)[number]

/** The signed-in user, the mandate of this tab, and the user's permissions there. */
export interface Session {
  user: Me['user']
  memberships: Membership[]
  mandateId: string | undefined
  mandateLabel: string | undefined
  /** Switches this tab to another mandate. */
  enter: (mandateId: string | undefined) => void
  /** The user's permissions in the mandate; undefined until they are loaded. */
  permissions: Partial<Record<MandateItem, Permission>> | undefined
}

export const SessionContext = createContext<Session | undefined>(undefined)

/** Returns the session. It must be called below the sign-in. */
export function useSession(): Session {
  const session = useContext(SessionContext)
  if (!session) throw new Error('outside of a session')
  return session
}

const isSignedOut = (error: unknown) => error instanceof ProblemError && error.status === 401

/** Returns the signed-in user: null for nobody, undefined until the gateway has answered. */
export function useMe() {
  const client = useQueryClient()
  const query = useQuery({
    queryKey: ['me'],
    queryFn: async () => {
      try {
        return await answerOf(api.GET('/auth/me'))
      } catch (error) {
        if (isSignedOut(error)) return null
        throw error
      }
    },
  })
  useEffect(
    () =>
      gateway.onEnd(() => {
        client.setQueryData(['me'], null)
      }),
    [client],
  )
  return query
}

/** Returns the caller's permissions in the mandate of this tab, by item. */
export function usePermissions(mandateId: string | undefined) {
  return useQuery({
    queryKey: ['permissions', mandateId],
    enabled: mandateId !== undefined,
    retry: false,
    queryFn: async () =>
      Object.fromEntries(
        await Promise.all(
          mandateItems.map(
            async (item) =>
              [
                item,
                await answerOf(
                  api.GET('/auth/permissions', { params: { query: { context: 'RESOURCE', item } } }),
                ),
              ] as const,
          ),
        ),
      ),
  })
}

/** Drops the data of the previous mandate and loads that of this one. */
export function useEnter(setMandate: (mandateId: string | undefined) => void) {
  const client = useQueryClient()
  return useCallback(
    (mandateId: string | undefined) => {
      gateway.enter({ mandateId })
      setMandate(mandateId)
      client.removeQueries({ queryKey: ['mandate'] })
    },
    [client, setMandate],
  )
}
