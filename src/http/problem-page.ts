import type { Request } from 'express'
import type { ErrorCode, GatewayError } from '../errors.js'
import type { Answer } from './endpoint.js'
import { html, languageOf, page, type Language } from './html.js'

const headings: Record<Language, { refused: string; failed: string; code: string; home: string }> = {
  en: { refused: 'That did not work', failed: 'That does not work right now', code: 'Code', home: 'To the start' },
  de: { refused: 'Das hat nicht geklappt', failed: 'Das geht im Moment nicht', code: 'Code', home: 'Zum Anfang' },
}

/** What people meet on pages, in German; whatever else there is to say is said in English. */
const inGerman: Partial<Record<ErrorCode, string>> = {
  not_found: 'Dieser Link funktioniert nicht: Er wurde benutzt, ist abgelaufen oder war nie einer. Bitten Sie um einen neuen.',
  rate_limited: 'Das waren zu viele Versuche. Versuchen Sie es etwas später noch einmal.',
  cross_site_request: 'Die Anfrage kam von der Seite eines anderen Anbieters.',
  directory_unavailable: 'Versuchen Sie es in wenigen Augenblicken noch einmal.',
  internal_error: 'Ein Fehler ist aufgetreten.',
}

/** A refusal for the person in front of a browser: what to do, and the code and request id to ask somebody with. */
export function problemPage(req: Request, error: GatewayError, status: number): Answer {
  const language = languageOf(req)
  const { refused, failed, code, home } = headings[language]
  const text = language === 'de' ? inGerman[error.code] ?? error.detail : error.detail
  return page({
    status,
    language,
    title: status >= 500 ? failed : refused,
    content: html`<p>${text}</p>
<p class="note">${code}: <code>${error.code}</code> · <code>${req.id}</code></p>
<a href="/">${home}</a>`,
  })
}
