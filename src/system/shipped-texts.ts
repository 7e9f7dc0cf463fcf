import type { ShippedTexts } from './translations.js'

/** What pages that the gateway itself makes say, as shipped. */
export const shippedTexts: ShippedTexts = {
  en: {
    'portal.title': 'Client portal',
    'portal.enter': 'Enter the portal',
    'portal.enter.hint': 'This link opens the portal on this device. Do not pass it on.',
    'portal.logout': 'Sign out',
    'portal.projects': 'Your projects',
    'portal.projects.empty': 'There are no projects yet.',
    'portal.access-required': 'Access required',
    'portal.access-required.hint': 'Open the link that you were sent. If it does not work any more, ask whoever sent it for a new one.',
  },
  de: {
    'portal.title': 'Kundenportal',
    'portal.enter': 'Portal betreten',
    'portal.enter.hint': 'Dieser Link öffnet das Portal auf diesem Gerät. Geben Sie ihn nicht weiter.',
    'portal.logout': 'Abmelden',
    'portal.projects': 'Ihre Projekte',
    'portal.projects.empty': 'Es gibt noch keine Projekte.',
    'portal.access-required': 'Zugang erforderlich',
    'portal.access-required.hint': 'Öffnen Sie den Link, den Sie erhalten haben. Funktioniert er nicht mehr, bitten Sie den Absender um einen neuen.',
  },
}
