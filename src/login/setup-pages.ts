import { type Reason } from '../domain/text-values.js'
import { reasonIn } from '../domain/reasons.js'
import type { Answer } from '../http/endpoint/endpoint.js'
import { textsIn, type Language } from '../domain/languages.js'
import { html, page } from '../http/pages/html.js'

interface SetupPage {
  language: Language
  username?: string
  fullName?: string
  /** What was wrong with what came. */
  fault?: { field: 'username' | 'fullName' | 'password'; why: Reason }
}

/** The form by which the first admin makes themselves. It is sent back to its own address. */
export function setupPage({ language, username = '', fullName = '', fault }: SetupPage): Answer {
  const text = textsIn(language).pages
  return page({
    status: fault === undefined ? 200 : 400,
    language,
    title: text['setup.title'],
    content: html`<p>${text['setup.intro']}</p>
${fault !== undefined && html`<p class="fault" role="alert" id="fault">${text[`setup.${fault.field}`]}: ${reasonIn(fault.why, language)}.</p>`}
<form method="post">
<label for="username">${text['setup.username']}</label>
<input id="username" name="username" value="${username}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="256" aria-describedby="${fault === undefined ? 'name-rule' : 'fault name-rule'}">
<p class="note" id="name-rule">${text['setup.usernameRule']}</p>
<label for="fullName">${text['setup.fullName']}</label>
<input id="fullName" name="fullName" value="${fullName}" autocomplete="name" maxlength="200">
<label for="password">${text['setup.password']}</label>
<input id="password" name="password" type="password" autocomplete="new-password" required minlength="12" aria-describedby="${fault === undefined ? 'rule' : 'fault rule'}">
<label for="repeated">${text['setup.repeated']}</label>
<input id="repeated" name="repeated" type="password" autocomplete="new-password" required minlength="12">
<p class="note" id="rule">${text['setup.rule']}</p>
<button type="submit">${text['setup.save']}</button>
</form>`,
  })
}

/** What is shown when there is an admin. */
export function setUpPage(language: Language): Answer {
  const text = textsIn(language).pages
  return page({
    language,
    title: text['setup.done'],
    content: html`<p>${text['setup.next']}</p>\n<a class="button" href="/console">${text['setup.home']}</a>`,
  })
}
