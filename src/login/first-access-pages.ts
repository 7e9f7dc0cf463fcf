import type { Answer } from '../http/endpoint/endpoint.js'
import { html, page, type Language } from '../http/pages/html.js'

const texts = {
  en: {
    title: 'Set your password',
    forUser: 'For the account',
    password: 'Password',
    repeated: 'The same once more',
    save: 'Set password',
    rule: 'At least 12 characters. A few words that belong together only for you are easy to keep in mind and hard to guess.',
    done: 'Your password is set',
    next: 'You can sign in with it now. This link has done its work and opens nothing any more.',
    home: 'Continue',
  },
  de: {
    title: 'Passwort festlegen',
    forUser: 'Für das Konto',
    password: 'Passwort',
    repeated: 'Noch einmal dasselbe',
    save: 'Passwort festlegen',
    rule: 'Mindestens 12 Zeichen. Ein paar Wörter, die nur für Sie zusammengehören, sind leicht zu merken und schwer zu erraten.',
    done: 'Ihr Passwort ist festgelegt',
    next: 'Sie können sich jetzt damit anmelden. Dieser Link hat ausgedient und öffnet nichts mehr.',
    home: 'Weiter',
  },
} as const

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
  const text = texts[language]
  const said = fault === undefined ? fault : faultIn(language, fault)
  return page({
    status: fault === undefined ? 200 : 400,
    language,
    title: text.title,
    content: html`<p>${text.forUser} <strong>${username}</strong></p>
${said !== undefined && html`<p class="fault" role="alert" id="fault">${text.password}: ${said}.</p>`}
<form method="post">
<input type="text" name="username" value="${username}" autocomplete="username" hidden disabled>
<label for="password">${text.password}</label>
<input id="password" name="password" type="password" autocomplete="new-password" required minlength="12" aria-describedby="${said === undefined ? 'rule' : 'fault rule'}">
<label for="repeated">${text.repeated}</label>
<input id="repeated" name="repeated" type="password" autocomplete="new-password" required minlength="12">
<p class="note" id="rule">${text.rule}</p>
<button type="submit">${text.save}</button>
</form>`,
  })
}

/** What is shown when the password is set. */
export function passwordSetPage(language: Language): Answer {
  const text = texts[language]
  return page({
    language,
    title: text.done,
    content: html`<p>${text.next}</p>\n<a class="button" href="/">${text.home}</a>`,
  })
}
