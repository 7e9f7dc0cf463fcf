import type { Request } from 'express'
import { fillIn } from '../domain/languages.js'
import type { GatewayError } from '../errors.js'
import { html, isNavigation, languageOf, page } from '../http/pages/html.js'
import type { ErrorPage } from '../http/endpoint/problem.js'
import type { PortalTexts, TextsOf } from './texts.js'

const isWithin = (path: string, prefix: string) => path === prefix || path.startsWith(`${prefix}/`)

/**
 * Whether a person is shown the answer: on the portal's own pages always, in the rest of the portal and where
 * its gate refused when a browser asks for a page.
 */
function isForPerson(req: Request, error: GatewayError): boolean {
  if (req.state.errorForm !== undefined) return req.state.errorForm === 'portal'
  if (!isNavigation(req)) return false
  const path = req.state.settledPathname ?? '' // the path may be what was not understood
  return (
    (isWithin(path, '/portal') && !isWithin(path, '/portal/api')) ||
    (error.code === 'portal_access_required' && !isWithin(path, '/portal/api'))
  )
}

function wordsFor(error: GatewayError, status: number, texts: PortalTexts): [title: string, text: string] {
  if (error.code === 'portal_access_required') return [texts.accessRequiredTitle, texts.accessRequiredText]
  if (status === 404) return [texts.notFoundTitle, texts.notFoundText]
  return status >= 500 || status === 429
    ? [texts.laterTitle, texts.laterText]
    : [texts.refusedTitle, texts.refusedText]
}

/**
 * The one place where the portal's refusals become pages. "Access required" says the same whatever was wrong.
 */
export function portalErrorPage(textsOf: TextsOf): ErrorPage {
  return (error, status, req) => {
    if (!isForPerson(req, error)) return undefined
    const language = languageOf(req)
    const texts = textsOf(language)
    const [title, text] = wordsFor(error, status, texts)
    const isRefusedEntry = error.code === 'portal_access_required'
    return page({
      status,
      language,
      title,
      content: html`<p>${text}</p>
${
  !isRefusedEntry &&
  html`<p class="note">${fillIn(texts.requestId, { id: req.state.id })}</p>
<p><a href="/portal">${texts.backToPortal}</a></p>`
}`,
      headers: { Vary: 'Accept-Language' },
    })
  }
}
