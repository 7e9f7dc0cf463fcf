import type { Request } from 'express'
import { z } from 'zod'
import { actorOf } from '../../audit/record-change.js'
import type { Principal } from '../../authentication/principal.js'
import type { CommitAndAwaitNodes } from '../../coherence/commit-and-await-nodes.js'
import type { Database } from '../../database/connect.js'
import { emailAddress } from '../../domain/email-address.js'
import { languages } from '../../domain/languages.js'
import { GatewayError } from '../../errors.js'
import { endpoint, type Answer, type Endpoint } from '../../http/endpoint/endpoint.js'
import { anyone, signedIn } from '../../http/endpoint/policy.js'
import { languageOf, wantsHtml } from '../../http/pages/html.js'
import type { Outbox } from '../../messages/outbox.js'
import { findAccountLink } from './account-link-queries.js'
import { beginEmailChange, confirmEmail, undoEmailChange } from './change-email.js'
import { buttonPage, saidPage } from './recovery-pages.js'
import { linkGone } from './reset.js'
import { personOf, requireFreshProof } from '../fresh-proof.js'
import { tokenHashOf } from './reset-endpoints.js'

interface Dependencies {
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  outbox: Outbox
  /** Who is signed in, if anybody is. */
  findCaller: (req: Request) => Promise<Principal | undefined>
}

const newAddress = z.strictObject({ email: emailAddress, language: z.enum(languages).optional() })
const ofLink = { access: anyone, entry: 'account-link', errors: 'page' } as const

function beginEndpoint({ database, outbox }: Dependencies): Endpoint {
  return endpoint({
    method: 'post',
    path: '/auth/email',
    summary:
      'Change my address: mails a link to the new one, which confirms it, and one to the old, which undoes it',
    access: signedIn,
    crossSite: 'always',
    body: newAddress,
    answers: { 202: z.strictObject({}) },
    handle: async ({ req, body: { email, language = languageOf(req) } }) => {
      const person = personOf(req)
      if (outbox.hasWayOut) await requireFreshProof(database, person)
      await beginEmailChange({ database, outbox }, { userId: person.userId, email, language })
      return { status: 202, body: {} }
    },
  })
}

function confirmEndpoints({ database, commitAndAwaitNodes, findCaller }: Dependencies): Endpoint[] {
  const path = '/auth/email/:token'
  return [
    endpoint({
      ...ofLink,
      method: 'get',
      path,
      summary: 'The page on which somebody who is signed in confirms their new address; it changes nothing',
      answers: { 200: 'text/html' },
      handle: async (call) => {
        const link = await findAccountLink(database, 'email_confirm', tokenHashOf(call))
        if (!link) throw linkGone()
        const language = languageOf(call.req)
        const caller = await findCaller(call.req)
        if (caller?.user.id !== link.userId)
          return saidPage(language, { title: 'email.title', said: 'email.signIn', way: 'problem.signIn' })
        const values = { username: link.username, email: link.email ?? '' }
        return buttonPage(language, {
          title: 'email.title',
          intro: 'email.intro',
          button: 'email.confirm',
          values,
        })
      },
    }),
    endpoint({
      ...ofLink,
      method: 'post',
      path,
      summary: 'Confirm the new address, once, by a session of the same user',
      crossSite: 'always',
      answers: { 200: 'text/html', 204: null },
      handle: async (call): Promise<Answer> => {
        const { req } = call
        const caller = await findCaller(req)
        if (!caller) throw new GatewayError('authentication_required', 'Not authenticated')
        const actor = { ...actorOf(req), userId: caller.user.id }
        await confirmEmail(commitAndAwaitNodes, { tokenHash: tokenHashOf(call), actor })
        return wantsHtml(req)
          ? saidPage(languageOf(req), { title: 'email.done', said: 'email.next', way: 'firstAccess.home' })
          : { status: 204 }
      },
    }),
  ]
}

function undoEndpoints({ database, commitAndAwaitNodes }: Dependencies): Endpoint[] {
  const path = '/auth/email-undo/:token'
  return [
    endpoint({
      ...ofLink,
      method: 'get',
      path,
      summary: 'The page on which somebody undoes a change of their address; looking at it changes nothing',
      answers: { 200: 'text/html' },
      handle: async (call) => {
        const link = await findAccountLink(database, 'email_undo', tokenHashOf(call))
        if (!link) throw linkGone()
        const values = { username: link.username, email: link.email ?? '' }
        const texts = { title: 'undo.title', intro: 'undo.intro', button: 'undo.button' } as const
        return buttonPage(languageOf(call.req), { ...texts, values })
      },
    }),
    endpoint({
      ...ofLink,
      method: 'post',
      path,
      summary:
        'Undo a change of address, once, without a session; ends all sessions of the user and the links that were sent elsewhere since',
      crossSite: 'always',
      answers: { 200: 'text/html', 204: null },
      handle: async (call): Promise<Answer> => {
        const { req } = call
        await undoEmailChange(commitAndAwaitNodes, { tokenHash: tokenHashOf(call), actor: actorOf(req) })
        return wantsHtml(req)
          ? saidPage(languageOf(req), { title: 'undo.done', said: 'undo.next', way: 'firstAccess.home' })
          : { status: 204 }
      },
    }),
  ]
}

/** `/auth/email`: the address of one's own account. */
export function emailEndpoints(deps: Dependencies): Endpoint[] {
  return [beginEndpoint(deps), ...confirmEndpoints(deps), ...undoEndpoints(deps)]
}
