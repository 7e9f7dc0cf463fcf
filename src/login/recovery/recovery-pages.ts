import { fillIn, textsIn, type Language, type Locale } from '../../domain/languages.js'
import { reasonIn } from '../../domain/reasons.js'
import type { Reason } from '../../domain/text-values.js'
import type { Answer } from '../../http/endpoint/endpoint.js'
import { html, page } from '../../http/pages/html.js'

type Key = keyof Locale['pages']

/** The form by which somebody asks for a new password. */
export function forgotPage(language: Language): Answer {
  const text = textsIn(language).pages
  return page({
    language,
    title: text['forgot.title'],
    content: html`<p>${text['forgot.intro']}</p>
<form method="post">
<label for="identifier">${text['forgot.identifier']}</label>
<input id="identifier" name="identifier" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="320">
<button type="submit">${text['forgot.send']}</button>
</form>`,
  })
}

/** A page that says something, with a way on. */
export function saidPage(
  language: Language,
  { title, said, way, status = 200 }: { title: Key; said: Key; way?: Key; status?: number },
): Answer {
  const text = textsIn(language).pages
  return page({
    status,
    language,
    title: text[title],
    content: html`<p>${text[said]}</p>${way && html`\n<a class="button" href="/console">${text[way]}</a>`}`,
  })
}

/** A page with one button, which is sent to its own address. Values are those of the introduction. */
export function buttonPage(
  language: Language,
  { title, intro, button, values }: { title: Key; intro: Key; button: Key; values: Record<string, string> },
): Answer {
  const text = textsIn(language).pages
  return page({
    language,
    title: text[title],
    content: html`<p>${fillIn(text[intro], values, language)}</p>
<form method="post"><button type="submit">${text[button]}</button></form>`,
  })
}

/** The form for a new password in the place of a forgotten one. It is sent back to its own address. */
export function resetPage({
  language,
  username,
  fault,
}: {
  language: Language
  username: string
  fault?: Reason | undefined
}): Answer {
  const text = textsIn(language).pages
  const said = fault && reasonIn(fault, language)
  return page({
    status: fault === undefined ? 200 : 400,
    language,
    title: text['reset.title'],
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
