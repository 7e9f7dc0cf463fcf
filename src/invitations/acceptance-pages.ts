import { fillIn, textsIn, type Language, type Locale } from '../domain/languages.js'
import { reasonIn } from '../domain/reasons.js'
import type { Reason } from '../domain/text-values.js'
import type { Answer } from '../http/endpoint/endpoint.js'
import { html, page, type Html } from '../http/pages/html.js'
import type { OpenInvitation } from './invitation-queries.js'

/** What was wrong with what came. */
export interface FormFault {
  field: 'username' | 'password'
  why: Reason
}

interface InvitationPage {
  language: Language
  invitation: Pick<OpenInvitation, 'mandateLabel' | 'inviter' | 'email'>
  /** The username of who is signed in. */
  signedInAs: string | undefined
  /** What was typed, and what was wrong with it. */
  typed?: { username: string; fullName: string; fault: FormFault }
}

type Texts = Locale['pages']

const currentForm = (text: Texts, username: string, language: Language): Html => html`
<form method="post">
<input type="hidden" name="account" value="current">
<button type="submit">${fillIn(text['invitation.joinAs'], { username }, language)}</button>
</form>
<p class="note">${text['invitation.or']}</p>`

function newForm(text: Texts, { language, typed, invitation: { email } }: InvitationPage): Html {
  const fault = typed?.fault
  const fieldOf = { username: text['setup.username'], password: text['setup.password'] }
  const described = fault === undefined ? '' : 'fault '
  return html`${fault && html`<p class="fault" role="alert" id="fault">${fieldOf[fault.field]}: ${reasonIn(fault.why, language)}.</p>`}
<form method="post">
<input type="hidden" name="account" value="new">
<p>${fillIn(text['invitation.new'], { email }, language)}</p>
<label for="username">${text['setup.username']}</label>
<input id="username" name="username" value="${typed?.username}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="256" aria-describedby="${described}name-rule">
<p class="note" id="name-rule">${text['setup.usernameRule']}</p>
<label for="fullName">${text['setup.fullName']}</label>
<input id="fullName" name="fullName" value="${typed?.fullName}" autocomplete="name" maxlength="200">
<label for="password">${text['setup.password']}</label>
<input id="password" name="password" type="password" autocomplete="new-password" required minlength="12" aria-describedby="${described}rule">
<label for="repeated">${text['setup.repeated']}</label>
<input id="repeated" name="repeated" type="password" autocomplete="new-password" required minlength="12">
<p class="note" id="rule">${text['setup.rule']}</p>
<button type="submit">${text['invitation.make']}</button>
</form>`
}

/** The page of an invitation: who invites, where to, and the ways to accept it. */
export function invitationPage(shown: InvitationPage): Answer {
  const { language, invitation, signedInAs, typed } = shown
  const text = textsIn(language).pages
  const values = {
    mandate: invitation.mandateLabel,
    inviter: invitation.inviter ?? text['invitation.someone'],
  }
  const who =
    signedInAs === undefined
      ? text['invitation.nobody']
      : fillIn(text['invitation.signedIn'], { username: signedInAs }, language)
  return page({
    status: typed ? 400 : 200,
    language,
    title: fillIn(text['invitation.title'], values, language),
    content: html`<p>${fillIn(text['invitation.intro'], values, language)}</p>
<p>${who}</p>${signedInAs !== undefined && currentForm(text, signedInAs, language)}
${newForm(text, shown)}`,
  })
}

/** What is shown when the invitation is accepted. */
export function acceptedPage(language: Language, mandate: string): Answer {
  const text = textsIn(language).pages
  return page({
    language,
    title: text['invitation.done'],
    content: html`<p>${fillIn(text['invitation.next'], { mandate }, language)}</p>\n<a class="button" href="/console">${text['setup.home']}</a>`,
  })
}
