import type { Answer } from '../http/endpoint/endpoint.js'
import { html, page, type Language } from '../http/pages/html.js'
import { faultIn } from './first-access-pages.js'

const texts = {
  en: {
    title: 'Set up the gateway',
    intro: 'There is no admin yet. Whoever fills this in becomes the first: SysAdmin and PlatformAdmin.',
    username: 'Username',
    usernameRule: 'In lower case, without blanks. It never changes.',
    fullName: 'Full name (may stay empty)',
    password: 'Password',
    repeated: 'The same once more',
    rule: 'At least 12 characters. A few words that belong together only for you are easy to keep in mind and hard to guess.',
    save: 'Become the admin',
    done: 'The gateway is set up',
    next: 'You can sign in now. Setup links open nothing any more.',
    home: 'Continue',
  },
  de: {
    title: 'Gateway einrichten',
    intro: 'Es gibt noch keinen Admin. Wer dies ausfüllt, wird der erste: SysAdmin und PlatformAdmin.',
    username: 'Benutzername',
    usernameRule: 'Kleingeschrieben, ohne Leerzeichen. Er ändert sich nie.',
    fullName: 'Voller Name (kann leer bleiben)',
    password: 'Passwort',
    repeated: 'Noch einmal dasselbe',
    rule: 'Mindestens 12 Zeichen. Ein paar Wörter, die nur für Sie zusammengehören, sind leicht zu merken und schwer zu erraten.',
    save: 'Admin werden',
    done: 'Das Gateway ist eingerichtet',
    next: 'Sie können sich jetzt anmelden. Einrichtungslinks öffnen nichts mehr.',
    home: 'Weiter',
  },
} as const

interface SetupPage {
  language: Language
  username?: string
  fullName?: string
  /** What was wrong with what came. */
  fault?: { field: 'username' | 'fullName' | 'password'; message: string }
}

/** The form by which the first admin makes themselves. It is sent back to its own address. */
export function setupPage({ language, username = '', fullName = '', fault }: SetupPage): Answer {
  const text = texts[language]
  return page({
    status: fault === undefined ? 200 : 400,
    language,
    title: text.title,
    content: html`<p>${text.intro}</p>
${fault !== undefined && html`<p class="fault" role="alert" id="fault">${text[fault.field]}: ${faultIn(language, fault.message)}.</p>`}
<form method="post">
<label for="username">${text.username}</label>
<input id="username" name="username" value="${username}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="256" aria-describedby="${fault === undefined ? 'name-rule' : 'fault name-rule'}">
<p class="note" id="name-rule">${text.usernameRule}</p>
<label for="fullName">${text.fullName}</label>
<input id="fullName" name="fullName" value="${fullName}" autocomplete="name" maxlength="200">
<label for="password">${text.password}</label>
<input id="password" name="password" type="password" autocomplete="new-password" required minlength="12" aria-describedby="${fault === undefined ? 'rule' : 'fault rule'}">
<label for="repeated">${text.repeated}</label>
<input id="repeated" name="repeated" type="password" autocomplete="new-password" required minlength="12">
<p class="note" id="rule">${text.rule}</p>
<button type="submit">${text.save}</button>
</form>`,
  })
}

/** What is shown when there is an admin. */
export function setUpPage(language: Language): Answer {
  const text = texts[language]
  return page({
    language,
    title: text.done,
    content: html`<p>${text.next}</p>\n<a class="button" href="/console">${text.home}</a>`,
  })
}
