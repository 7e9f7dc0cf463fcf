import type { Answer } from '../http/endpoint/endpoint.js'
import { textsIn, type Language } from '../domain/languages.js'
import { html, page } from '../http/pages/html.js'

/** What is said of passwords and names, in German. */
const faultsInGerman: Record<string, string> = {
  'must be the same both times': 'muss beide Male dasselbe sein',
  'must have at least 12 characters': 'muss mindestens 12 Zeichen haben',
  'must have at most 1024 bytes': 'darf höchstens 1024 Bytes lang sein',
  'must not be the username': 'darf nicht der Benutzername sein',
  'must not hold blanks or control characters': 'darf keine Leerzeichen enthalten',
  'must be in lower case': 'muss kleingeschrieben sein',
  'is taken': 'ist vergeben',
}

/** A fault of a field, as the page's language has it. */
export const faultIn = (language: Language, fault: string) =>
  language === 'en' ? fault : (faultsInGerman[fault] ?? fault)

interface PasswordPage {
  language: Language
  username: string
  /** What was wrong with the password that came. */
  fault?: string
}

/** The form for a first password. It is sent back to its own address. */
export function passwordPage({ language, username, fault }: PasswordPage): Answer {
  const text = textsIn(language).pages
  const said = fault === undefined ? fault : faultIn(language, fault)
  return page({
    status: fault === undefined ? 200 : 400,
    language,
    title: text['firstAccess.title'],
    content: html`<p>${text['firstAccess.forUser']} <strong>${username}</strong></p>
${said !== undefined && html`<p class="fault" role="alert" id="fault">${text['firstAccess.password']}: ${said}.</p>`}
<form method="post">
<input type="text" name="username" value="${username}" autocomplete="username" hidden disabled>
<label for="password">${text['firstAccess.password']}</label>
<input id="password" name="password" type="password" autocomplete="new-password" required minlength="12" aria-describedby="${said === undefined ? 'rule' : 'fault rule'}">
<label for="repeated">${text['firstAccess.repeated']}</label>
<input id="repeated" name="repeated" type="password" autocomplete="new-password" required minlength="12">
<p class="note" id="rule">${text['firstAccess.rule']}</p>
<button type="submit">${text['firstAccess.save']}</button>
</form>`,
  })
}

/** What is shown when the password is set. */
export function passwordSetPage(language: Language): Answer {
  const text = textsIn(language).pages
  return page({
    language,
    title: text['firstAccess.done'],
    content: html`<p>${text['firstAccess.next']}</p>\n<a class="button" href="/">${text['firstAccess.home']}</a>`,
  })
}
