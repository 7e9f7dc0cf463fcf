import { reason } from '../domain/reasons.js'
import { z } from 'zod'
import { actorOf, recordChange } from '../audit/record-change.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import { faultAt, GatewayError } from '../errors.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { languageOf } from '../http/pages/html.js'
import { queueNotice } from '../messages/notice.js'
import type { Outbox } from '../messages/outbox.js'
import { signedIn } from '../http/endpoint/policy.js'
import type { CheckPassword } from './check-password.js'
import { endSessionsOfUser } from '../authentication/end-queries.js'
import { originOf } from './issue-token.js'
import { checkNewPassword } from './password-policy.js'
import type { Passwords } from './password.js'
import { replacePasswordHash } from './password-queries.js'
import { findLoginUser } from './session-queries.js'

interface Dependencies {
  sql: Sql
  outbox: Outbox
  commitAndAwaitNodes: CommitAndAwaitNodes
  passwords: Passwords
  checkPassword: CheckPassword
}

const change = z.strictObject({
  currentPassword: z.string().min(1),
  newPassword: z.string(),
  keepIdentities: z.boolean().default(false).meta({
    description: 'do not unlink the identities at other authorities, by which one can sign in, too',
  }),
})

/** `POST /auth/password`: a new password ends what the old one began, everywhere but here. */
export function passwordEndpoints({
  sql,
  outbox,
  commitAndAwaitNodes,
  passwords,
  checkPassword,
}: Dependencies): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/auth/password',
      summary:
        'Change my password; ends all my other sessions and unlinks my identities, and when this answers no node accepts their tokens any more',
      access: signedIn,
      body: change,
      answers: { 200: z.strictObject({ coherence: coherenceSchema }) },
      handle: async ({ req, body: { currentPassword, newPassword, keepIdentities } }) => {
        const {
          user: { id, username },
          sessionId,
        } = req.state.requirePrincipal()
        checkNewPassword(newPassword, username, 'newPassword')
        if ((await findLoginUser(sql, [username]))?.passwordHash === null)
          throw new GatewayError('conflict', reason('no_password'))
        const checked = await checkPassword({ username, password: currentPassword, ...originOf(req) })
        if (!checked) throw new GatewayError('credentials_invalid', 'The current password is wrong')
        if (newPassword === currentPassword)
          throw new GatewayError('validation_failed', 'The body is not valid', {
            errors: [faultAt('newPassword', reason('current_password'))],
          })
        const passwordHash = await passwords.hash(newPassword)
        const { coherence } = await commitAndAwaitNodes(async (tx) => {
          if (
            !(await replacePasswordHash(tx, id, {
              from: checked.passwordHash,
              to: passwordHash,
              keepIdentities,
            }))
          )
            throw new GatewayError('conflict', reason('password_changed'))
          const ended = await endSessionsOfUser(tx, id, { except: sessionId })
          await recordChange(tx, {
            actor: actorOf(req),
            mandateId: 'system',
            action: 'password_changed',
            subject: `user:${id}`,
            after: { by: 'user', sessionsEnded: ended.length, identitiesKept: keepIdentities },
          })
          await queueNotice(outbox, tx, {
            userId: id,
            event: 'password_changed',
            language: languageOf(req),
          })
        })
        return { status: 200, body: { coherence } }
      },
    }),
  ]
}
