import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { languageOf } from '../http/pages/html.js'
import type { Outbox } from '../messages/outbox.js'
import { answerDeleted, changeQuery, deletedAnswers } from './change-endpoints.js'
import { resetFactors } from './factor-resets.js'
import { found } from './fields.js'
import { platformScope, type Governing } from './scope.js'
import { findUserForUpdate } from './user-queries.js'

/** Returns the endpoint by which platform admins help somebody who has lost their second factors. */
export function factorResetEndpoints(governing: Governing & { outbox: Outbox }): Endpoint[] {
  const { access, change } = platformScope(governing)
  return [
    endpoint({
      method: 'delete',
      path: '/admin/users/:id/factors',
      unversioned: true,
      summary:
        'Remove all second factors and recovery codes of a user, and end their sessions; not of a SysAdmin, and not of oneself',
      access,
      query: changeQuery,
      answers: deletedAnswers,
      handle: async (call) =>
        answerDeleted(
          await change(call, async ({ tx, about, actor }) => {
            const user = found(await findUserForUpdate(tx, idOf(call)))
            if (user.isSysAdmin) throw new GatewayError('sysadmin_required', reason('sysadmins_only'))
            await about({ userId: user.id })
            const language = languageOf(call.req)
            await resetFactors(governing.outbox, tx, { userId: user.id, actor, language })
          }),
        ),
    }),
  ]
}
