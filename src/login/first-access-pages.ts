import { type Reason } from '../domain/text-values.js'
import { reasonIn } from '../domain/reasons.js'
import type { Answer } from '../http/endpoint/endpoint.js'
import { textsIn, type Language } from '../domain/languages.js'
import { html, page } from '../http/pages/html.js'

interface PasswordPage {
  language: Language
  username: string
  /** What was wrong with the password that came. */
  fault?: Reason
}

/** The form for a first password. It is sent back to its own address. */
export function passwordPage({ language, username, fault }: PasswordPage): Answer {
  const text = textsIn(language).pages
  const said = fault && reasonIn(fault, language)
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
