import { z } from 'zod'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import { reason } from '../domain/reasons.js'
import { hashSecret } from '../domain/secrets.js'
import type { Reason } from '../domain/text-values.js'
import { faultAt, GatewayError } from '../errors.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import { languageOf, wantsHtml } from '../http/pages/html.js'
import type { Outbox } from '../messages/outbox.js'
import { passwordPage, passwordSetPage } from './first-access-pages.js'
import type { Invited } from './first-access-queries.js'
import { getInvited, useFirstAccess } from './first-access.js'
import { passwordFault } from './password-policy.js'
import type { Passwords } from './password.js'

interface Dependencies {
  sql: Sql
  commitAndAwaitNodes: CommitAndAwaitNodes
  passwords: Pick<Passwords, 'hash'>
  outbox: Outbox
}

const newPassword = z.strictObject({ password: z.string(), repeated: z.string().optional() })
type NewPassword = z.infer<typeof newPassword>

const tokenHashOf = ({ params }: Pick<Call<unknown, unknown>, 'params'>) => hashSecret(params.token ?? '')

const faultOf = ({ password, repeated }: NewPassword, { username }: Invited): Reason | undefined =>
  repeated !== undefined && repeated !== password ? reason('same_twice') : passwordFault(password, username)

const showEndpoint = ({ sql }: Dependencies): Endpoint =>
  endpoint({
    method: 'get',
    path: '/auth/first-access/:token',
    summary: 'The page on which somebody new sets a password; looking at it changes nothing',
    access: anyone,
    entry: 'first-access',
    errors: 'page',
    answers: { 200: 'text/html' },
    handle: async (call) => {
      const { username } = await getInvited(sql, tokenHashOf(call))
      return passwordPage({ language: languageOf(call.req), username })
    },
  })

const useEndpoint = (deps: Dependencies): Endpoint =>
  endpoint({
    method: 'post',
    path: '/auth/first-access/:token',
    summary: 'Set the password, once; ends all sessions of the user and unlinks their identities',
    access: anyone,
    entry: 'first-access',
    crossSite: 'always',
    errors: 'page',
    body: newPassword,
    bodyTypes: ['application/x-www-form-urlencoded', 'application/json'],
    answers: { 200: 'text/html', 204: null },
    handle: async (call): Promise<Answer> => {
      const { req, body } = call
      const tokenHash = tokenHashOf(call)
      const invited = await getInvited(deps.sql, tokenHash)
      const fault = faultOf(body, invited)
      const language = languageOf(req)
      if (fault !== undefined) {
        if (wantsHtml(req)) return passwordPage({ language, username: invited.username, fault })
        throw new GatewayError('validation_failed', reason('password_weak'), {
          errors: [faultAt('password', fault)],
        })
      }
      const actor = { userId: null, requestId: req.state.id, address: req.state.clientAddress }
      await useFirstAccess(deps, { tokenHash, password: body.password }, { actor, language })
      return wantsHtml(req) ? passwordSetPage(language) : { status: 204 }
    },
  })

/**
 * Returns the endpoints of `/auth/first-access/{token}`, where a user whom an admin made sets a password. They
 * sign nobody in: a person who knows the password can do that.
 */
export const firstAccessEndpoints = (deps: Dependencies): Endpoint[] => [
  showEndpoint(deps),
  useEndpoint(deps),
]
