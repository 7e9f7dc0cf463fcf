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
  not_found: 'Hier gibt es nichts. Ein Link, den man nur einmal benutzen kann, wurde vielleicht schon benutzt oder ist abgelaufen: Bitten Sie um einen neuen.',
  sign_in_invalid: 'Diese Anmeldung wurde in diesem Browser nicht begonnen, ist abgelaufen oder schon beendet. Beginnen Sie noch einmal.',
  sign_in_refused: 'Der Anmeldedienst hat Ihre Anmeldung nicht bestätigt, oder seine Antwort ließ sich nicht prüfen. Beginnen Sie noch einmal.',
  identity_unknown: 'Dieses Konto ist hier mit niemandem verknüpft. Melden Sie sich mit Ihrem Passwort an und verknüpfen Sie es unter Ihren Identitäten; ohne Passwort bitten Sie um einen Link zum Festlegen.',
  provider_failed: 'Der Anmeldedienst hat so geantwortet, dass es nicht weitergeht. Melden Sie sich anders an, oder versuchen Sie es später.',
  provider_unavailable: 'Der Anmeldedienst ist nicht erreichbar. Melden Sie sich anders an, oder versuchen Sie es später.',
  user_disabled: 'Ihr Konto ist gesperrt.',
  validation_failed: 'In der Adresse steht etwas, das hier nicht geht.',
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
