/** Of the pages about what mandates use and have been sold, and what the portal's and a person's own pages say beside that. */
export const plans = {
  'project.clientName.hint': ['For the time until a client is chosen.', 'Solange noch kein Kunde gewählt ist.'],
  'project.changed': ['Changed', 'Geändert'],
  'project.preview.column': ['Preview', 'Vorschau'],
  'project.preview.of': ['View client portal of {name}', 'Kundenportal von {name} ansehen'],

  'identities.hint': ['Accounts elsewhere that you can sign in with, beside your password.', 'Konten anderswo, mit denen Sie sich neben Ihrem Passwort anmelden können.'],
  'identities.empty': ['No account is linked', 'Kein Konto ist verbunden'],
  'identities.empty.hint': ['Link one to sign in without your password.', 'Verbinden Sie eines, um sich ohne Passwort anzumelden.'],
  'identities.none.hint': ['Neither Google nor Microsoft is set up here; docs/sign-in.md says how.', 'Weder Google noch Microsoft ist hier eingerichtet; docs/sign-in.md erklärt es.'],
  'identity.account': ['Account', 'Konto'],
  'identity.linked': ['Linked', 'Verbunden'],
} as const
