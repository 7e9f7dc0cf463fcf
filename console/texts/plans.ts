/**
 * Of the pages about what mandates use and have been sold, and what the portal's and a person's own pages say
 * beside that.
 */
export const plans = {
  'project.clientName.hint': [
    'For the time until a client is chosen.',
    'Solange noch kein Kunde gewählt ist.',
  ],
  'project.changed': ['Changed', 'Geändert'],
  'project.preview.column': ['Preview', 'Vorschau'],
  'project.preview.of': ['View client portal of {name}', 'Kundenportal von {name} ansehen'],

  'identities.hint': [
    'Accounts elsewhere that you can sign in with, beside your password.',
    'Konten anderswo, mit denen Sie sich neben Ihrem Passwort anmelden können.',
  ],
  'identities.empty': ['No account is linked', 'Kein Konto ist verbunden'],
  'identities.empty.hint': [
    'Link one to sign in without your password.',
    'Verbinden Sie eines, um sich ohne Passwort anzumelden.',
  ],
  'identities.none.hint': [
    'Neither Google nor Microsoft is set up here; docs/sign-in.md says how.',
    'Weder Google noch Microsoft ist hier eingerichtet; docs/sign-in.md erklärt es.',
  ],
  'identity.account': ['Account', 'Konto'],
  'identity.linked': ['Linked', 'Verbunden'],

  usage: ['Usage', 'Nutzung'],
  'usage.hint': [
    'What mandates are used, day by day (UTC).',
    'Wie Mandate genutzt werden, Tag für Tag (UTC).',
  ],
  'usage.allMandates': ['All mandates', 'Alle Mandate'],
  'usage.span': ['How long', 'Zeitraum'],
  'usage.days': ['Last {count} days', 'Letzte {count} Tage'],
  'usage.requests': ['Requests', 'Anfragen'],
  'usage.requests.short': ['Requests', 'Anfragen'],
  'usage.denials': ['Refused of them', 'Davon abgelehnt'],
  'usage.denials.short': ['Refused', 'Abgelehnt'],
  'usage.share': ['Share refused', 'Anteil abgelehnt'],
  'usage.busiest': ['Busiest day', 'Stärkster Tag'],
  'usage.byDay': ['Requests by day', 'Anfragen je Tag'],
  'usage.summary': [
    'Requests by day. On the latest: {requests}, of which {denials} were refused',
    'Anfragen je Tag. Am letzten: {requests}, davon {denials} abgelehnt',
  ],
  'usage.byMandate': ['By mandate and day', 'Je Mandat und Tag'],
  'usage.day': ['Day', 'Tag'],
  'usage.gone': ['deleted', 'gelöscht'],
  'usage.empty': ['Nothing was used in this time', 'In dieser Zeit wurde nichts genutzt'],
  'usage.empty.hint': [
    'Choose a longer time. A request counts as soon as it names a mandate.',
    'Wählen Sie einen längeren Zeitraum. Eine Anfrage zählt, sobald sie ein Mandat nennt.',
  ],

  subscriptions: ['Subscriptions', 'Abonnements'],
  'subscriptions.hint': [
    'What mandates have been sold. Beyond it requests are answered 429, and members and instances 409.',
    'Was Mandaten verkauft wurde. Darüber hinaus antworten Anfragen 429, Mitglieder und Instanzen 409.',
  ],
  'subscriptions.empty': ['No mandate has a subscription', 'Kein Mandat hat ein Abonnement'],
  'subscriptions.empty.hint': [
    'Without one there is no limit. Create one to give a mandate quotas.',
    'Ohne eines gibt es keine Grenze. Legen Sie eines an, um einem Mandat Kontingente zu geben.',
  ],
  'subscription.new': ['New subscription', 'Neues Abonnement'],
  'subscription.edit': ['Subscription of {name}', 'Abonnement von {name}'],
  'subscription.saved': [
    'The subscription is saved; nodes keep to it within a second',
    'Das Abonnement ist gespeichert; die Knoten halten sich binnen einer Sekunde daran',
  ],
  'subscription.plan': ['Plan', 'Tarif'],
  'subscription.plan.hint': ['A name of your own, such as team.', 'Ein eigener Name, etwa team.'],
  'subscription.use': ['What it uses now', 'Was es jetzt nutzt'],
  'subscription.end': ['End subscription', 'Abonnement beenden'],
  'subscription.end.title': ['End the subscription of {name}?', 'Das Abonnement von {name} beenden?'],
  'subscription.end.hint': [
    'The mandate has no quotas then, and everything stays open.',
    'Das Mandat hat dann keine Kontingente, und alles bleibt offen.',
  ],
  'subscription.ended': ['The subscription of {name} is ended', 'Das Abonnement von {name} ist beendet'],
  billing: ['Billing', 'Abrechnung'],
  'billing.hint': [
    'What mandates used in a month, against what they have been sold. What was refused is not charged.',
    'Was Mandate in einem Monat genutzt haben, gegen das, was ihnen verkauft wurde. Abgelehntes wird nicht berechnet.',
  ],
  'billing.month': ['Month', 'Monat'],
  'billing.requests': ['Requests a month', 'Anfragen im Monat'],
  'billing.over': ['Over quota', 'Über Kontingent'],
  'billing.noPlan': ['no plan', 'kein Tarif'],
  'billing.empty': ['There is nothing to bill', 'Es gibt nichts abzurechnen'],
  'billing.empty.hint': [
    'Mandates show up here once they are used, or have a subscription.',
    'Mandate erscheinen hier, sobald sie genutzt werden oder ein Abonnement haben.',
  ],
  'quota.of': ['{used} of {quota}', '{used} von {quota}'],
  'quota.none': ['no limit', 'unbegrenzt'],
  'quota.over': ['over', 'darüber'],
  download: ['Download', 'Herunterladen'],
  'download.csv': ['Table (CSV)', 'Tabelle (CSV)'],
  'download.json': ['Data (JSON)', 'Daten (JSON)'],
} as const
