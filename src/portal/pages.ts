import type { PortalClient } from '../authentication/current-client.js'
import type { Answer } from '../http/endpoint/endpoint.js'
import { fillIn, type Language } from '../domain/languages.js'
import { html, page, type Html } from '../http/pages/html.js'
import type { Project, ProjectStatus } from './project-queries.js'
import type { PortalTexts } from './texts.js'

/** A place that a route with `auth: portal` leads to. */
export interface PortalPlace {
  href: string
  title: string
}

/** What every page of the portal is made with. */
interface Setting {
  language: Language
  texts: PortalTexts
}

const styles = `
.preview { margin: 0 0 1rem; padding: .6rem .8rem; border: 2px dashed var(--accent); border-radius: .4rem; font-weight: 600 }
.projects { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line) }
.projects a { text-decoration: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; justify-content: space-between; padding: .8rem .25rem; border-bottom: 1px solid var(--line) }
.projects strong { text-decoration: underline }
.status { color: var(--soft) }
.text { white-space: pre-line }
h2 { margin: 1.5rem 0 .5rem; font-size: 1.1rem }
.leave { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: baseline; justify-content: space-between; margin-top: 2rem; padding-top: .5rem; border-top: 1px solid var(--line) }
.leave form, .leave p { margin: 0 }
.leave button { margin: 0; padding: .3rem .8rem; color: var(--accent); background: none; border: 1px solid var(--soft) }
`

const varies = { Vary: 'Accept-Language' }

const signOutForm = (texts: PortalTexts) =>
  html`<form method="post" action="/portal/logout"><button>${texts.signOut}</button></form>`

/** A page for somebody who is signed in: with what client they are, and the way out. */
function signedIn({
  language,
  texts,
  client,
  title,
  content,
}: Setting & { client: PortalClient; title: string; content: Html }): Answer {
  return page({
    language,
    title,
    styles,
    wide: true,
    headers: varies,
    content: html`${client.isPreview && html`<p class="preview">${fillIn(texts.previewNote, { client: client.name })}</p>`}
${content}
<footer class="leave"><p class="note">${fillIn(texts.signedInAs, { client: client.name })}</p>${signOutForm(texts)}</footer>`,
  })
}

/** The page that a link opens: one button, and nothing that a scanner would follow. */
export function enterPage({
  language,
  texts,
  token,
  next,
}: Setting & { token: string; next: string | undefined }): Answer {
  return page({
    language,
    title: texts.enterTitle,
    headers: varies,
    content: html`<p>${texts.enterText}</p>
<form method="post" action="/portal/enter">
<input type="hidden" name="token" value="${token}">
${next !== undefined && html`<input type="hidden" name="next" value="${next}">`}
<button>${texts.enterButton}</button>
</form>`,
  })
}

/** Asks whether to sign out. */
export function signOutPage(language: Language, texts: PortalTexts): Answer {
  return page({
    language,
    title: texts.signOutTitle,
    headers: varies,
    content: html`<p>${texts.signOutText}</p>${signOutForm(texts)}<p><a href="/portal">${texts.backToPortal}</a></p>`,
  })
}

/** Says that nobody is signed in. */
export function signedOutPage(language: Language, texts: PortalTexts): Answer {
  return page({
    language,
    title: texts.signedOutTitle,
    headers: varies,
    content: html`<p>${texts.signedOutText}</p>`,
  })
}

const statusNames: Record<ProjectStatus, keyof PortalTexts> = {
  planned: 'statusPlanned',
  active: 'statusActive',
  waiting: 'statusWaiting',
  done: 'statusDone',
}

/** A client's projects. */
export function projectsPage({
  language,
  texts,
  client,
  projects,
  nextCursor,
}: Setting & { client: PortalClient; projects: Project[]; nextCursor: string | null }): Answer {
  const items = projects.map(
    ({ id, name, status }) =>
      html`<li><a href="/portal?project=${id}"><strong>${name}</strong>${status && html`<span class="status">${texts[statusNames[status]]}</span>`}</a></li>`,
  )
  return signedIn({
    language,
    texts,
    client,
    title: texts.projectsTitle,
    content: html`${items.length === 0 ? html`<p>${texts.noProjects}</p>` : html`<ul class="projects">${items}</ul>`}
${nextCursor !== null && html`<p><a href="/portal?cursor=${encodeURIComponent(nextCursor)}">${texts.moreProjects}</a></p>`}`,
  })
}

/** One project: how it stands, what the client is told of it, and where its documents are. */
export function projectPage({
  language,
  texts,
  client,
  project,
  places,
}: Setting & { client: PortalClient; project: Project; places: PortalPlace[] }): Answer {
  const { name, status, note } = project
  const links = places.map(({ href, title }) => html`<li><a href="${href}">${title}</a></li>`)
  return signedIn({
    language,
    texts,
    client,
    title: name,
    content: html`${status && html`<p>${texts.status}: <strong>${texts[statusNames[status]]}</strong></p>`}
${note !== null && html`<p class="text">${note}</p>`}
<h2>${texts.documents}</h2>
${links.length === 0 ? html`<p>${texts.noDocuments}</p>` : html`<ul>${links}</ul>`}
<p><a href="/portal">${texts.allProjects}</a></p>`,
  })
}
