import type { Request } from 'express'
import type { ErrorCode, GatewayError } from '../../errors.js'
import type { Answer } from '../endpoint/endpoint.js'
import { html, languageOf, page, type Html, type Language } from './html.js'

const headings: Record<
  Language,
  { refused: string; failed: string; code: string; home: string; signIn: string; signOut: string }
> = {
  en: {
    refused: 'That did not work',
    failed: 'That does not work right now',
    code: 'Code',
    home: 'To the start',
    signIn: 'Sign in',
    signOut: 'Sign out',
  },
  de: {
    refused: 'Das hat nicht geklappt',
    failed: 'Das geht im Moment nicht',
    code: 'Code',
    home: 'Zum Anfang',
    signIn: 'Anmelden',
    signOut: 'Abmelden',
  },
}

/** What people meet on pages, in German; whatever else there is to say is said in English. */
const inGerman: Partial<Record<ErrorCode, string>> = {
  not_found:
    'Hier gibt es nichts. Ein Link, den man nur einmal benutzen kann, wurde vielleicht schon benutzt oder ist abgelaufen: Bitten Sie um einen neuen.',
  sign_in_invalid:
    'Diese Anmeldung wurde in diesem Browser nicht begonnen, ist abgelaufen oder schon beendet. Beginnen Sie noch einmal.',
  sign_in_refused:
    'Der Anmeldedienst hat Ihre Anmeldung nicht bestätigt, oder seine Antwort ließ sich nicht prüfen. Beginnen Sie noch einmal.',
  identity_unknown:
    'Dieses Konto ist hier mit niemandem verknüpft. Melden Sie sich mit Ihrem Passwort an und verknüpfen Sie es unter Ihren Identitäten; ohne Passwort bitten Sie um einen Link zum Festlegen.',
  provider_failed:
    'Der Anmeldedienst hat so geantwortet, dass es nicht weitergeht. Melden Sie sich anders an, oder versuchen Sie es später.',
  provider_unavailable:
    'Der Anmeldedienst ist nicht erreichbar. Melden Sie sich anders an, oder versuchen Sie es später.',
  user_disabled: 'Ihr Konto ist gesperrt.',
  authentication_required: 'Dafür müssen Sie angemeldet sein.',
  token_invalid: 'Ihre Anmeldung gilt nicht mehr. Melden Sie sich noch einmal an.',
  token_expired: 'Ihre Anmeldung ist abgelaufen. Melden Sie sich noch einmal an.',
  header_ambiguous:
    'Ihr Browser hat zwei verschiedene Anmeldungen geschickt: Eine andere Anwendung unter dieser Domain hat auch eine gesetzt. Melden Sie sich hier ab und dann neu an.',
  headers_too_large:
    'Ihr Browser hat zu viele Cookies geschickt. Löschen Sie die Cookies dieser Seite, und laden Sie sie noch einmal.',
  path_ambiguous:
    'Diese Adresse lässt sich auf zwei Weisen lesen. Prüfen Sie, ob sie richtig geschrieben ist.',
  request_malformed: 'Ihr Browser hat etwas geschickt, das sich nicht lesen lässt.',
  mandate_required: 'Die Adresse sagt nicht, zu welchem Mandanten Sie wollen.',
  not_a_member: 'Sie gehören nicht zu diesem Mandanten.',
  permission_denied: 'Dazu fehlt Ihnen das Recht.',
  method_not_allowed: 'Das lässt sich mit dieser Adresse nicht tun.',
  upstream_failed: 'Der Dienst hinter dieser Adresse hat falsch geantwortet.',
  upstream_unavailable:
    'Der Dienst hinter dieser Adresse ist nicht erreichbar. Versuchen Sie es in wenigen Augenblicken noch einmal.',
  upstream_timeout: 'Der Dienst hinter dieser Adresse hat nicht rechtzeitig geantwortet.',
  authentication_unavailable: 'Versuchen Sie es in wenigen Augenblicken noch einmal.',
  overloaded: 'Im Moment ist zu viel los. Versuchen Sie es in wenigen Augenblicken noch einmal.',
  validation_failed: 'In der Adresse steht etwas, das hier nicht geht.',
  rate_limited: 'Das waren zu viele Versuche. Versuchen Sie es etwas später noch einmal.',
  cross_site_request: 'Die Anfrage kam von der Seite eines anderen Anbieters.',
  directory_unavailable: 'Versuchen Sie es in wenigen Augenblicken noch einmal.',
  internal_error: 'Ein Fehler ist aufgetreten.',
}

/** The way on: out of two logins at once, to the sign-in page, or to the start. */
function wayOn(
  { code }: GatewayError,
  status: number,
  { home, signIn, signOut }: (typeof headings)['en'],
): Html {
  if (code === 'header_ambiguous')
    return html`<form method="post" action="/auth/logout"><button>${signOut}</button></form>`
  return status === 401
    ? html`<a class="button" href="/console">${signIn}</a>`
    : html`<a href="/">${home}</a>`
}

/**
 * Returns a refusal as a page for the person in front of a browser: what to do, and the code and request id
 * to ask somebody with.
 */
export function problemPage(
  req: Pick<Request, 'id' | 'headers'>,
  error: GatewayError,
  status: number,
): Answer {
  const language = languageOf(req)
  const { refused, failed, code } = headings[language]
  const text = language === 'de' ? (inGerman[error.code] ?? error.detail) : error.detail
  return page({
    status,
    language,
    title: status >= 500 ? failed : refused,
    content: html`<p>${text}</p>
<p class="note">${code}: <code>${error.code}</code> · <code>${req.id}</code></p>
${wayOn(error, status, headings[language])}`,
  })
}
