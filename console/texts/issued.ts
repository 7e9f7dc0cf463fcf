/** Of the pages about what admins made by which others are let in. */
export const issued = {
  openLinks: ['First-access links', 'Erstzugangs-Links'],
  'openLinks.hint': [
    'Links by which people can still set a password. Whoever has one can use it: withdraw what nobody should use any more.',
    'Links, mit denen noch ein Passwort gesetzt werden kann. Wer einen hat, kann ihn benutzen: ziehen Sie zurück, was niemand mehr benutzen soll.',
  ],
  'openLinks.empty': ['No link is open', 'Kein Link ist offen'],
  'openLinks.empty.hint': [
    'A link is made with a new user, and on a user’s page. It is gone from here when it is used or over.',
    'Ein Link entsteht mit einem neuen Benutzer und auf der Seite eines Benutzers. Benutzt oder abgelaufen verschwindet er von hier.',
  ],
  'openLink.for': ['For', 'Für'],
  'openLink.by': ['Issued by', 'Ausgestellt von'],
  'openLink.by.commandLine': ['the command line', 'die Kommandozeile'],
  'openLink.by.gone': ['a deleted admin', 'ein gelöschter Admin'],
  'openLink.made': ['Issued', 'Ausgestellt'],
  'openLink.until': ['Valid until', 'Gültig bis'],
  'openLink.withdraw': ['Withdraw', 'Zurückziehen'],
  'openLink.withdraw.title': ['Withdraw the link for {name}?', 'Den Link für {name} zurückziehen?'],
  'openLink.withdraw.hint': [
    'It sets no password any more. Somebody who needs one gets a new link on the user’s page.',
    'Damit lässt sich kein Passwort mehr setzen. Wer eines braucht, bekommt auf der Seite des Benutzers einen neuen Link.',
  ],
  'openLink.withdrawn': ['The link for {name} is withdrawn', 'Der Link für {name} ist zurückgezogen'],

  issued: ['What this person issued', 'Was diese Person ausgestellt hat'],
  'issued.hint': [
    'Links, secrets, keys, tokens and service accounts that are still good. Withdraw them when the person leaves: they may have kept copies.',
    'Links, Geheimnisse, Schlüssel, Tokens und Dienstkonten, die noch gelten. Ziehen Sie sie zurück, wenn die Person geht: vielleicht hat sie Kopien.',
  ],
  'issued.empty': ['Nothing that is still good', 'Nichts, was noch gilt'],
  'issued.empty.hint': [
    'What this person makes for others, by which they are let in, shows up here.',
    'Was diese Person für andere anlegt, damit sie hineinkommen, erscheint hier.',
  ],
  'issued.kind': ['What', 'Was'],
  'issued.kind.firstAccess': ['First-access link', 'Erstzugangs-Link'],
  'issued.kind.secret': ['Secret', 'Geheimnis'],
  'issued.kind.key': ['Public key', 'Öffentlicher Schlüssel'],
  'issued.kind.token': ['API token', 'API-Token'],
  'issued.kind.serviceAccount': ['Service account', 'Dienstkonto'],
  'issued.noEnd': ['no end', 'ohne Ende'],
  'issued.withdraw': ['Withdraw all', 'Alles zurückziehen'],
  'issued.withdraw.title': ['Withdraw what {name} issued?', 'Zurückziehen, was {name} ausgestellt hat?'],
  'issued.withdraw.counts': [
    'Links: {links}, secrets: {secrets}, keys: {keys}, tokens: {tokens}. They are void on every node when this answers.',
    'Links: {links}, Geheimnisse: {secrets}, Schlüssel: {keys}, Tokens: {tokens}. Sie gelten auf keinem Knoten mehr, sobald dies antwortet.',
  ],
  'issued.withdraw.hint': [
    'The service accounts stay, and need new secrets or keys. What SysAdmins are let in by only a SysAdmin withdraws.',
    'Die Dienstkonten bleiben und brauchen neue Geheimnisse oder Schlüssel. Womit SysAdmins hineinkommen, zieht nur ein SysAdmin zurück.',
  ],
  'issued.withdrawn': ['What {name} issued is withdrawn', 'Was {name} ausgestellt hat, ist zurückgezogen'],
} as const
