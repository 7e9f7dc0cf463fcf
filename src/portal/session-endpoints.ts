import { z } from 'zod'
import { recordChange } from '../audit/record-change.js'
import { portalAccessRequired } from '../authentication/current-client.js'
import { sealKeysOf, sealSession, sessionSeconds } from '../authentication/portal-session.js'
import type { Config } from '../config.js'
import type { Database } from '../database/connect.js'
import { cookieValue, portalCookie, setCookie } from '../http/cookies.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { languageOf } from '../http/pages/html.js'
import { anyone } from '../http/endpoint/policy.js'
import { useLink } from './link-queries.js'
import { hashSecret } from '../domain/secrets.js'
import { destinationOf } from './next.js'
import { enterPage, signOutPage, signedOutPage } from './pages.js'
import type { TextsOf } from './texts.js'

interface Dependencies {
  config: Pick<Config, 'COOKIE_SECURE' | 'SECRET_KEY' | 'SECRET_KEY_PREVIOUS'>
  database: Database
  textsOf: TextsOf
}

/** What is no text, or too long for a link, is as wrong as any other wrong link. */
const text = (longest: number) => z.string().max(longest).catch('')
const link = z.object({ token: text(512), next: text(2000) })

/** Coming into the portal by a link, and leaving it. */
export function portalSessionEndpoints({ config, database, textsOf }: Dependencies): Endpoint[] {
  const show = endpoint({
    method: 'get',
    path: '/portal/enter',
    summary:
      'A page with a button that opens the portal. Looking at it signs nobody in: scanners of mails do look. `next` is a path inside the portal to go to',
    access: anyone,
    entry: 'portal-entry',
    errors: 'portal',
    query: link,
    answers: { 200: 'text/html' },
    handle: ({ req, query: { token, next } }) => {
      if (token === '') throw portalAccessRequired()
      const language = languageOf(req)
      return enterPage({
        language,
        texts: textsOf(language),
        token,
        next: next === '' ? undefined : destinationOf(next),
      })
    },
  })
  const enter = endpoint({
    method: 'post',
    path: '/portal/enter',
    summary: 'Sign in with the token of a link; sets the cookie portal_session',
    access: anyone,
    entry: 'portal-entry',
    crossSite: 'always',
    errors: 'portal',
    body: link,
    bodyTypes: ['application/x-www-form-urlencoded'],
    answers: { 303: null },
    handle: async ({ req, res, body: { token, next } }) => {
      const opened = await database.transaction(async (tx) => {
        const used = await useLink(tx, hashSecret(token))
        if (used) {
          const actor = { userId: null, requestId: req.state.id, address: req.state.clientAddress }
          await recordChange(tx, {
            actor,
            mandateId: used.mandateId,
            action: 'portal_entered',
            subject: `portal_link:${used.id}`,
            after: { clientId: used.clientId },
          })
        }
        return used
      })
      if (!opened) throw portalAccessRequired()
      setCookie(
        res,
        'portal_session',
        sealSession({ linkId: opened.id, issuedAt: Math.floor(Date.now() / 1000) }, sealKeysOf(config)),
        portalCookie(config, sessionSeconds),
      )
      return { status: 303, headers: { Location: destinationOf(next) } }
    },
  })
  const askToLeave = endpoint({
    method: 'get',
    path: '/portal/logout',
    summary: 'A page that says that nobody is signed in, or asks whether to sign out',
    access: anyone,
    entry: 'portal-entry',
    errors: 'portal',
    answers: { 200: 'text/html' },
    handle: ({ req }) => {
      const language = languageOf(req)
      return cookieValue(req, 'portal_session') !== undefined
        ? signOutPage(language, textsOf(language))
        : signedOutPage(language, textsOf(language))
    },
  })
  const leave = endpoint({
    method: 'post',
    path: '/portal/logout',
    summary: 'Sign out of the portal: clears the cookie',
    access: anyone,
    entry: 'portal-entry',
    errors: 'portal',
    answers: { 303: null },
    handle: ({ res }) => {
      setCookie(res, 'portal_session', '', portalCookie(config, 0))
      return { status: 303, headers: { Location: '/portal/logout' } }
    },
  })
  return [show, enter, askToLeave, leave]
}
