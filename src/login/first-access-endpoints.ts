import { type Reason } from '../domain/text-values.js'
import { reason } from '../domain/reasons.js'
import { z } from 'zod'
import { recordChange, type Actor } from '../audit/record-change.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../database/connect.js'
import { GatewayError, faultAt } from '../errors.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { languageOf, wantsHtml } from '../http/pages/html.js'
import type { Language } from '../domain/languages.js'
import { queueNotice } from '../messages/notice.js'
import type { Outbox } from '../messages/outbox.js'
import { anyone } from '../http/endpoint/policy.js'
import { passwordPage, passwordSetPage } from './first-access-pages.js'
import {
  findInvited,
  replaceFirstAccessLink,
  setFirstPassword,
  takeInvitation,
  type Invited,
} from './first-access-queries.js'
import { passwordFault } from './password-policy.js'
import type { Passwords } from './password.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'

/**
 * A link by which a user sets a password, once. Whoever has it can: it is shown to the one who asked for it,
 * and stored nowhere.
 */
export interface FirstAccess {
  /** Path on the gateway; the link is `PUBLIC_URL` and this. */
  path: string
  expiresAt: Date
}

const linkDays = 7

/**
 * Makes a user's one-time link, which ends with the level of the admin who issued it (null: the command
 * line); earlier ones stop working. Throws `not_found` without such a user, and for a service account.
 */
export async function issueFirstAccess(
  tx: Tx,
  userId: string,
  issuedBy: string | null,
): Promise<FirstAccess> {
  const token = makeSecret()
  const expiresAt = await replaceFirstAccessLink(tx, {
    userId,
    tokenHash: hashSecret(token),
    days: linkDays,
    issuedBy,
  })
  if (!expiresAt) throw new GatewayError('not_found', reason('user_without_password'))
  return { path: `/auth/first-access/${token}`, expiresAt }
}

interface Dependencies {
  sql: Sql
  commitAndAwaitNodes: CommitAndAwaitNodes
  passwords: Pick<Passwords, 'hash'>
  outbox: Outbox
}

const newPassword = z.strictObject({ password: z.string(), repeated: z.string().optional() })
type NewPassword = z.infer<typeof newPassword>

const tokenHashOf = ({ params }: Pick<Call<unknown, unknown>, 'params'>) => hashSecret(params.token ?? '')

/** Used, expired, replaced, never made: whoever has no link need not learn which. */
const gone = () => new GatewayError('not_found', reason('link_used'))

function faultOf({ password, repeated }: NewPassword, { username }: Invited): Reason | undefined {
  return repeated !== undefined && repeated !== password
    ? reason('same_twice')
    : passwordFault(password, username)
}

/**
 * `/auth/first-access/{token}`: where somebody whom an admin made sets a password. It signs nobody in: who
 * knows the password can do that.
 */
export function firstAccessEndpoints({
  sql,
  commitAndAwaitNodes,
  passwords,
  outbox,
}: Dependencies): Endpoint[] {
  const find = async (tokenHash: string) => {
    const invited = await findInvited(sql, tokenHash)
    if (!invited) throw gone()
    return invited
  }

  const setPassword = async (tokenHash: string, password: string, actor: Actor, language: Language) => {
    const passwordHash = await passwords.hash(password)
    await commitAndAwaitNodes(async (tx) => {
      const taken = await takeInvitation(tx, tokenHash)
      if (!taken) throw gone()
      await setFirstPassword(tx, taken.userId, passwordHash)
      await recordChange(tx, {
        actor: { ...actor, userId: taken.userId },
        mandateId: 'system',
        action: 'first_access_used',
        subject: `user:${taken.userId}`,
      })
      await queueNotice(outbox, tx, { userId: taken.userId, event: 'password_changed', language })
    })
  }

  const show = endpoint({
    method: 'get',
    path: '/auth/first-access/:token',
    summary: 'The page on which somebody new sets a password; looking at it changes nothing',
    access: anyone,
    entry: 'first-access',
    errors: 'page',
    answers: { 200: 'text/html' },
    handle: async (call) =>
      passwordPage({ language: languageOf(call.req), username: (await find(tokenHashOf(call))).username }),
  })

  const set = endpoint({
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
      const invited = await find(tokenHashOf(call))
      const fault = faultOf(body, invited)
      const language = languageOf(req)
      if (fault !== undefined) {
        if (wantsHtml(req)) return passwordPage({ language, username: invited.username, fault })
        throw new GatewayError('validation_failed', reason('password_weak'), {
          errors: [faultAt('password', fault)],
        })
      }
      const actor = { userId: null, requestId: req.state.id, address: req.state.clientAddress }
      await setPassword(tokenHashOf(call), body.password, actor, language)
      return wantsHtml(req) ? passwordSetPage(language) : { status: 204 }
    },
  })

  return [show, set]
}
