import { z } from 'zod'
import { languages } from '../../domain/languages.js'
import { reason } from '../../domain/reasons.js'
import { hashSecret } from '../../domain/secrets.js'
import type { Database } from '../../database/connect.js'
import { faultAt, GatewayError, notFound } from '../../errors.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../../http/endpoint/endpoint.js'
import { anyone } from '../../http/endpoint/policy.js'
import { languageOf, wantsHtml } from '../../http/pages/html.js'
import type { CommitAndAwaitNodes } from '../../coherence/commit-and-await-nodes.js'
import type { Outbox } from '../../messages/outbox.js'
import { passwordFault } from '../password-policy.js'
import type { Passwords } from '../password.js'
import { findAccountLink } from './account-link-queries.js'
import type { Forgotten } from './forgot.js'
import { forgotPage, resetPage, saidPage } from './recovery-pages.js'
import { linkGone, resetPassword } from './reset.js'

interface Dependencies {
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  passwords: Pick<Passwords, 'hash'>
  outbox: Outbox
  takeForgotten: (forgotten: Forgotten) => Promise<void>
}

const forgotten = z.strictObject({
  identifier: z.string().min(1).max(320),
  language: z.enum(languages).optional(),
})
const newPassword = z.strictObject({ password: z.string(), repeated: z.string().optional() })
const formOrJson = ['application/x-www-form-urlencoded', 'application/json'] as const

/** The hash of the token in a link's path. */
export const tokenHashOf = ({ params }: Pick<Call<unknown, unknown>, 'params'>): string =>
  hashSecret(params.token ?? '')

/** `/auth/forgot`: where somebody asks for a link by which they set a new password. */
function forgotEndpoints({ outbox, takeForgotten }: Dependencies): Endpoint[] {
  const refuseWithoutWayOut = () => {
    if (!outbox.hasWayOut) throw notFound()
  }
  return [
    endpoint({
      method: 'get',
      path: '/auth/forgot',
      summary: 'The page on which somebody asks for a new password; 404 without a way to send messages',
      access: anyone,
      entry: 'account-link',
      errors: 'page',
      answers: { 200: 'text/html' },
      handle: ({ req }) => {
        refuseWithoutWayOut()
        return forgotPage(languageOf(req))
      },
    }),
    endpoint({
      method: 'post',
      path: '/auth/forgot',
      summary:
        'Ask for a link to set a new password, by username or address; answers alike whether or not there is such an account',
      access: anyone,
      crossSite: 'always',
      errors: 'page',
      body: forgotten,
      bodyTypes: [...formOrJson],
      answers: { 202: z.strictObject({}) },
      handle: async ({ req, body }): Promise<Answer> => {
        refuseWithoutWayOut()
        const language = body.language ?? languageOf(req)
        await takeForgotten({ identifier: body.identifier, language, address: req.state.clientAddress })
        return wantsHtml(req)
          ? saidPage(language, { title: 'forgot.done', said: 'forgot.next', status: 202 })
          : { status: 202, body: {} }
      },
    }),
  ]
}

/** `/auth/forgot` and `/auth/reset/{token}`: a new password in the place of a forgotten one. */
export function resetEndpoints(deps: Dependencies): Endpoint[] {
  const { database, passwords } = deps
  const find = async (call: Pick<Call<unknown, unknown>, 'params'>) => {
    const link = await findAccountLink(database, 'password_reset', tokenHashOf(call))
    if (!link) throw linkGone()
    return link
  }
  const show = endpoint({
    method: 'get',
    path: '/auth/reset/:token',
    summary: 'The page on which somebody sets a new password; looking at it changes nothing',
    access: anyone,
    entry: 'account-link',
    errors: 'page',
    answers: { 200: 'text/html' },
    handle: async (call) =>
      resetPage({ language: languageOf(call.req), username: (await find(call)).username }),
  })
  const set = endpoint({
    method: 'post',
    path: '/auth/reset/:token',
    summary: 'Set a new password, once; ends all sessions of the user and unlinks their identities',
    access: anyone,
    entry: 'account-link',
    crossSite: 'always',
    errors: 'page',
    body: newPassword,
    bodyTypes: [...formOrJson],
    answers: { 200: 'text/html', 204: null },
    handle: async (call): Promise<Answer> => {
      const { req, body } = call
      const { username } = await find(call)
      const language = languageOf(req)
      const isTwice = body.repeated === undefined || body.repeated === body.password
      const fault = isTwice ? passwordFault(body.password, username) : reason('same_twice')
      if (fault !== undefined) {
        if (wantsHtml(req)) return resetPage({ language, username, fault })
        const errors = [faultAt('password', fault)]
        throw new GatewayError('validation_failed', reason('password_weak'), { errors })
      }
      const actor = { userId: null, requestId: req.state.id, address: req.state.clientAddress }
      const passwordHash = await passwords.hash(body.password)
      await resetPassword(deps, { tokenHash: tokenHashOf(call), passwordHash, actor, language })
      return wantsHtml(req)
        ? saidPage(language, { title: 'firstAccess.done', said: 'firstAccess.next', way: 'firstAccess.home' })
        : { status: 204 }
    },
  })
  return [...forgotEndpoints(deps), show, set]
}
