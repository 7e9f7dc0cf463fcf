import { answerOf, api, edit } from './client'
import type { components } from './schema'

type Schemas = components['schemas']
export type Role = Schemas['Role']
export type Rule = Schemas['AccessRule']
export type Member = Schemas['Member']
export type Instance = Schemas['FeatureInstance']
export type DryRun = '0' | '1'
type RuleBody = Omit<Rule, 'id' | 'roleId'>
interface ListQuery {
  limit?: string
  cursor?: string
  q?: string
}
interface MemberBody {
  enabled?: boolean
  roleIds?: string[]
}

/** What a page administers: the whole platform, or the mandate of this tab. */
export type Realm = 'platform' | 'mandate'

/** Roles and their rules. */
export const rolesOf = (realm: Realm) =>
  realm === 'platform'
    ? {
        list: (query: ListQuery & { mandateId?: string; instanceId?: string }) =>
          answerOf(api.GET('/admin/roles', { params: { query } })),
        get: (id: string) => answerOf(api.GET('/admin/roles/{id}', { params: { path: { id } } })),
        make: (body: { label: string; mandateId?: string | null; featureInstanceId?: string | null }) =>
          answerOf(api.POST('/admin/roles', { body })),
        rename: ({ id, ...seen }: Role, label: string) =>
          answerOf(edit(seen).PATCH('/admin/roles/{id}', { params: { path: { id } }, body: { label } })),
        remove: ({ id, ...seen }: Role, dryRun: DryRun) =>
          answerOf(edit(seen).DELETE('/admin/roles/{id}', { params: { path: { id }, query: { dryRun } } })),
        rules: (roleId: string) =>
          answerOf(api.GET('/admin/rules', { params: { query: { roleId, limit: '200' } } })),
        addRule: (roleId: string, body: RuleBody, dryRun: DryRun) =>
          answerOf<object>(
            api.POST('/admin/rules', { params: { query: { dryRun } }, body: { roleId, ...body } }),
          ),
        changeRule: ({ id, ...seen }: Rule, body: RuleBody, dryRun: DryRun) =>
          answerOf<object>(
            edit(seen).PATCH('/admin/rules/{id}', { params: { path: { id }, query: { dryRun } }, body }),
          ),
        removeRule: ({ id, ...seen }: Rule, dryRun: DryRun) =>
          answerOf<object>(
            edit(seen).DELETE('/admin/rules/{id}', { params: { path: { id }, query: { dryRun } } }),
          ),
      }
    : {
        list: ({ mandateId: _own, ...query }: ListQuery & { mandateId?: string; instanceId?: string }) =>
          answerOf(api.GET('/mandate/roles', { params: { query } })),
        get: (id: string) => answerOf(api.GET('/mandate/roles/{id}', { params: { path: { id } } })),
        make: ({
          mandateId: _own,
          ...body
        }: {
          label: string
          mandateId?: string | null
          featureInstanceId?: string | null
        }) => answerOf(api.POST('/mandate/roles', { body })),
        rename: ({ id, ...seen }: Role, label: string) =>
          answerOf(edit(seen).PATCH('/mandate/roles/{id}', { params: { path: { id } }, body: { label } })),
        remove: ({ id, ...seen }: Role, dryRun: DryRun) =>
          answerOf(edit(seen).DELETE('/mandate/roles/{id}', { params: { path: { id }, query: { dryRun } } })),
        rules: (roleId: string) =>
          answerOf(api.GET('/mandate/rules', { params: { query: { roleId, limit: '200' } } })),
        addRule: (roleId: string, body: RuleBody, dryRun: DryRun) =>
          answerOf<object>(
            api.POST('/mandate/rules', { params: { query: { dryRun } }, body: { roleId, ...body } }),
          ),
        changeRule: ({ id, ...seen }: Rule, body: RuleBody, dryRun: DryRun) =>
          answerOf<object>(
            edit(seen).PATCH('/mandate/rules/{id}', { params: { path: { id }, query: { dryRun } }, body }),
          ),
        removeRule: ({ id, ...seen }: Rule, dryRun: DryRun) =>
          answerOf<object>(
            edit(seen).DELETE('/mandate/rules/{id}', { params: { path: { id }, query: { dryRun } } }),
          ),
      }

/** Feature instances. */
export const instancesOf = (realm: Realm) =>
  realm === 'platform'
    ? {
        list: (query: ListQuery & { mandateId?: string }) =>
          answerOf(api.GET('/admin/instances', { params: { query } })),
        get: (id: string) => answerOf(api.GET('/admin/instances/{id}', { params: { path: { id } } })),
        make: (body: { featureCode: string; label: string; mandateId: string }) =>
          answerOf<object>(api.POST('/admin/instances', { body })),
        change: ({ id, ...seen }: Instance, body: { label?: string; enabled?: boolean }, dryRun: DryRun) =>
          answerOf<object>(
            edit(seen).PATCH('/admin/instances/{id}', { params: { path: { id }, query: { dryRun } }, body }),
          ),
        remove: ({ id, ...seen }: Instance, dryRun: DryRun) =>
          answerOf<object>(
            edit(seen).DELETE('/admin/instances/{id}', { params: { path: { id }, query: { dryRun } } }),
          ),
      }
    : {
        list: ({ mandateId: _own, ...query }: ListQuery & { mandateId?: string }) =>
          answerOf(api.GET('/mandate/instances', { params: { query } })),
        get: (id: string) => answerOf(api.GET('/mandate/instances/{id}', { params: { path: { id } } })),
        make: ({ mandateId: _own, ...body }: { featureCode: string; label: string; mandateId: string }) =>
          answerOf<object>(api.POST('/mandate/instances', { body })),
        change: ({ id, ...seen }: Instance, body: { label?: string; enabled?: boolean }, dryRun: DryRun) =>
          answerOf<object>(
            edit(seen).PATCH('/mandate/instances/{id}', {
              params: { path: { id }, query: { dryRun } },
              body,
            }),
          ),
        remove: ({ id, ...seen }: Instance, dryRun: DryRun) =>
          answerOf<object>(
            edit(seen).DELETE('/mandate/instances/{id}', { params: { path: { id }, query: { dryRun } } }),
          ),
      }

/** The members of a mandate, or the people with access to an instance. */
export interface People {
  /** The query key of their lists. */
  key: readonly string[]
  list: (query: ListQuery) => Promise<{ items: Member[]; nextCursor: string | null }>
  add: (body: MemberBody & { username: string }) => Promise<object>
  change: (member: Member, body: MemberBody, dryRun: DryRun) => Promise<object>
  remove: (member: Member, dryRun: DryRun) => Promise<object>
}

export const ownMembers = (mandateId: string): People => ({
  key: ['mandate', mandateId, 'members'],
  list: (query) => answerOf(api.GET('/mandate/members', { params: { query } })),
  add: (body) => answerOf(api.POST('/mandate/members', { body: { enabled: true, ...body } })),
  change: ({ id: memberId, ...seen }, body, dryRun) =>
    answerOf<object>(
      edit(seen).PATCH('/mandate/members/{memberId}', {
        params: { path: { memberId }, query: { dryRun } },
        body,
      }),
    ),
  remove: ({ id: memberId, ...seen }, dryRun) =>
    answerOf<object>(
      edit(seen).DELETE('/mandate/members/{memberId}', { params: { path: { memberId }, query: { dryRun } } }),
    ),
})

export const membersOf = (id: string): People => ({
  key: ['platform', 'members', id],
  list: (query) => answerOf(api.GET('/admin/mandates/{id}/members', { params: { path: { id }, query } })),
  add: (body) =>
    answerOf(
      api.POST('/admin/mandates/{id}/members', {
        params: { path: { id } },
        body: { enabled: true, ...body },
      }),
    ),
  change: ({ id: memberId, ...seen }, body, dryRun) =>
    answerOf<object>(
      edit(seen).PATCH('/admin/mandates/{id}/members/{memberId}', {
        params: { path: { id, memberId }, query: { dryRun } },
        body,
      }),
    ),
  remove: ({ id: memberId, ...seen }, dryRun) =>
    answerOf<object>(
      edit(seen).DELETE('/admin/mandates/{id}/members/{memberId}', {
        params: { path: { id, memberId }, query: { dryRun } },
      }),
    ),
})

export const accessTo = (realm: Realm, id: string): People =>
  realm === 'platform'
    ? {
        key: ['platform', 'access', id],
        list: (query) =>
          answerOf(api.GET('/admin/instances/{id}/access', { params: { path: { id }, query } })),
        add: (body) =>
          answerOf(
            api.POST('/admin/instances/{id}/access', {
              params: { path: { id } },
              body: { enabled: true, ...body },
            }),
          ),
        change: ({ id: memberId, ...seen }, body, dryRun) =>
          answerOf<object>(
            edit(seen).PATCH('/admin/instances/{id}/access/{memberId}', {
              params: { path: { id, memberId }, query: { dryRun } },
              body,
            }),
          ),
        remove: ({ id: memberId, ...seen }, dryRun) =>
          answerOf<object>(
            edit(seen).DELETE('/admin/instances/{id}/access/{memberId}', {
              params: { path: { id, memberId }, query: { dryRun } },
            }),
          ),
      }
    : {
        key: ['mandate', 'access', id],
        list: (query) =>
          answerOf(api.GET('/mandate/instances/{id}/access', { params: { path: { id }, query } })),
        add: (body) =>
          answerOf(
            api.POST('/mandate/instances/{id}/access', {
              params: { path: { id } },
              body: { enabled: true, ...body },
            }),
          ),
        change: ({ id: memberId, ...seen }, body, dryRun) =>
          answerOf<object>(
            edit(seen).PATCH('/mandate/instances/{id}/access/{memberId}', {
              params: { path: { id, memberId }, query: { dryRun } },
              body,
            }),
          ),
        remove: ({ id: memberId, ...seen }, dryRun) =>
          answerOf<object>(
            edit(seen).DELETE('/mandate/instances/{id}/access/{memberId}', {
              params: { path: { id, memberId }, query: { dryRun } },
            }),
          ),
      }
