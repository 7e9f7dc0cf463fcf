import type { Language } from '../http/pages/html.js'

const english = {
  accessRequiredTitle: 'Access required',
  accessRequiredText:
    'This portal is for clients who were given a link. Open your link once more. If it no longer works, ask whoever gave it to you for a new one.',
  enterTitle: 'Client portal',
  enterText:
    'You were given access to your projects. It stays open on this device for 30 days, or until you sign out.',
  enterButton: 'Open the portal',
  projectsTitle: 'Your projects',
  noProjects: 'There are no projects for you yet.',
  moreProjects: 'More projects',
  allProjects: 'All projects',
  status: 'Status',
  statusPlanned: 'Planned',
  statusActive: 'In progress',
  statusWaiting: 'Waiting for you',
  statusDone: 'Done',
  documents: 'Documents',
  noDocuments: 'There are no documents yet.',
  previewNote: 'Preview. You see the portal as {client} sees it.',
  signedInAs: 'Signed in for {client}',
  signOut: 'Sign out',
  signOutTitle: 'Sign out?',
  signOutText: 'To come back, open your link again.',
  signedOutTitle: 'You are signed out',
  signedOutText: 'To come back, open your link again. You can close this window.',
  notFoundTitle: 'Not found',
  notFoundText: 'There is nothing here that is meant for you.',
  refusedTitle: 'That did not work',
  refusedText: 'Go back and try it again.',
  laterTitle: 'Please try again shortly',
  laterText: 'The portal cannot be reached at the moment. Nothing was lost.',
  requestId: 'Request {id}',
  backToPortal: 'To the portal',
}

/** What the portal says, by name. `{…}` stands for a value. */
export type PortalTexts = Readonly<Record<keyof typeof english, string>>

const german: PortalTexts = {
  accessRequiredTitle: 'Zugang erforderlich',
  accessRequiredText:
    'Dieses Portal ist für Kunden, die einen Link erhalten haben. Öffnen Sie Ihren Link noch einmal. Falls er nicht mehr gilt, bitten Sie um einen neuen.',
  enterTitle: 'Kundenportal',
  enterText:
    'Sie haben Zugang zu Ihren Projekten erhalten. Er bleibt auf diesem Gerät 30 Tage offen, oder bis Sie sich abmelden.',
  enterButton: 'Portal öffnen',
  projectsTitle: 'Ihre Projekte',
  noProjects: 'Für Sie gibt es noch keine Projekte.',
  moreProjects: 'Weitere Projekte',
  allProjects: 'Alle Projekte',
  status: 'Stand',
  statusPlanned: 'Geplant',
  statusActive: 'In Arbeit',
  statusWaiting: 'Wartet auf Sie',
  statusDone: 'Abgeschlossen',
  documents: 'Dokumente',
  noDocuments: 'Es gibt noch keine Dokumente.',
  previewNote: 'Vorschau. Sie sehen das Portal so, wie {client} es sieht.',
  signedInAs: 'Angemeldet für {client}',
  signOut: 'Abmelden',
  signOutTitle: 'Abmelden?',
  signOutText: 'Um wiederzukommen, öffnen Sie Ihren Link noch einmal.',
  signedOutTitle: 'Sie sind abgemeldet',
  signedOutText: 'Um wiederzukommen, öffnen Sie Ihren Link noch einmal. Sie können dieses Fenster schließen.',
  notFoundTitle: 'Nicht gefunden',
  notFoundText: 'Hier gibt es nichts, das für Sie bestimmt ist.',
  refusedTitle: 'Das hat nicht geklappt',
  refusedText: 'Gehen Sie zurück und versuchen Sie es noch einmal.',
  laterTitle: 'Bitte versuchen Sie es gleich noch einmal',
  laterText: 'Das Portal ist im Moment nicht erreichbar. Es ist nichts verloren gegangen.',
  requestId: 'Anfrage {id}',
  backToPortal: 'Zum Portal',
}

/** The texts in a language. */
export type TextsOf = (language: Language) => PortalTexts

/** The texts as they are delivered. */
export const portalTexts: Record<Language, PortalTexts> = { de: german, en: english }

/** What the keys of these texts begin with where they can be changed. */
export const portalPrefix = 'portal.'

/** A text with its values in place. */
export function fill(text: string, values: Record<string, string>): string {
  return text.replace(/\{(\w+)\}/g, (found, name: string) => values[name] ?? found)
}
