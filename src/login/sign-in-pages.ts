import { fillIn, textsIn, type Language } from '../domain/languages.js'
import type { Answer } from '../http/endpoint/endpoint.js'
import { html, page } from '../http/pages/html.js'
import type { SignInProvider } from './sign-in-provider.js'

/** Returns the page that asks a person, who is signed in, whether they want to go on to the provider. */
export function continuePage(
  language: Language,
  { label, path }: Pick<SignInProvider, 'label' | 'path'>,
  { next, loginHint }: { next?: string | undefined; loginHint?: string | undefined },
): Answer {
  const text = textsIn(language).pages
  const query = new URLSearchParams({
    ...(next === undefined ? {} : { next }),
    ...(loginHint === undefined ? {} : { loginHint }),
  }).toString()
  const address = `${path}/login${query === '' ? '' : `?${query}`}`
  return page({
    language,
    title: fillIn(text['signIn.title'], { provider: label }),
    content: html`<p>${text['signIn.hint']}</p>
<a class="button" href="${address}">${fillIn(text['signIn.continue'], { provider: label })}</a>`,
  })
}
