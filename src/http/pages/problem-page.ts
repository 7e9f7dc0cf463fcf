import { reasonIn } from '../../domain/reasons.js'
import type { Request } from 'express'
import { textsIn, type Locale } from '../../domain/languages.js'
import type { GatewayError } from '../../errors.js'
import type { Answer } from '../endpoint/endpoint.js'
import { html, languageOf, page, type Html } from './html.js'

/** Returns where to prove again, and to come back from there to the page that was asked for. */
function stepUpLink({ members }: GatewayError, { method, state }: Identified): string | undefined {
  const stepUp = members?.stepUp
  if (typeof stepUp !== 'string') return undefined
  const asked = `${state.settledPathname ?? '/'}${state.settledSearch ?? ''}`
  const next = method === 'GET' || method === undefined ? asked : '/'
  return `${stepUp}${stepUp.includes('?') ? '&' : '?'}next=${encodeURIComponent(next)}`
}

/** The way on: out of two logins at once, to the sign-in page, or to the start. */
function wayOn(error: GatewayError, req: Identified, status: number, pages: Locale['pages']): Html {
  const { code } = error
  const stepUp = stepUpLink(error, req)
  if (stepUp !== undefined) return html`<a class="button" href="${stepUp}">${pages['problem.stepUp']}</a>`
  if (code === 'header_ambiguous')
    return html`<form method="post" action="/auth/logout"><button>${pages['problem.signOut']}</button></form>`
  return status === 401
    ? html`<a class="button" href="/console">${pages['problem.signIn']}</a>`
    : html`<a href="/">${pages['problem.home']}</a>`
}

/** A request that its id tells from all others. */
export interface Identified extends Pick<Request, 'headers'> {
  method?: string | undefined
  state: Pick<Request['state'], 'id' | 'settledPathname' | 'settledSearch'>
}

/**
 * Returns a refusal as a page for the person in front of a browser: what to do, and the code and request id
 * to ask somebody with.
 */
export function problemPage(req: Identified, error: GatewayError, status: number): Answer {
  const language = languageOf(req)
  const { console: texts, pages } = textsIn(language)
  const translated = (error.reason && reasonIn(error.reason, language)) ?? texts[`problem.${error.code}`]
  const text = language === 'en' ? error.detail : translated
  return page({
    status,
    language,
    title: pages[status >= 500 ? 'problem.failed' : 'problem.refused'],
    content: html`<p>${text}</p>
<p class="note">${pages['problem.code']}: <code>${error.code}</code> · <code>${req.state.id}</code></p>
${wayOn(error, req, status, pages)}`,
  })
}
