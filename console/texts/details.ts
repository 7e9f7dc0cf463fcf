/**
 * What the gateway says in English of one refusal or one field, in German: a pattern, and what is said for
 * it. What is not here is said in English, below the text of its code. The catalogue is checked by a test:
 * each sentence that a field can be refused with must have one.
 */
const german: readonly (readonly [RegExp, string])[] = [
  [/^must be 0 or more$/, 'muss 0 oder mehr sein'],
  [/^must be 1 or 0$/, 'muss 1 oder 0 sein'],
  [/^must be 1 to 100 letters, digits and \._-$/, 'muss aus 1 bis 100 Buchstaben, Ziffern und ._- bestehen'],
  [
    /^must be 1 to 100 lower-case letters, digits and hyphens, with a letter or digit at both ends$/,
    'muss aus 1 bis 100 Kleinbuchstaben, Ziffern und Bindestrichen bestehen, mit Buchstabe oder Ziffer an beiden Enden',
  ],
  [
    /^must be lower-case letters, digits and single hyphens$/,
    'muss aus Kleinbuchstaben, Ziffern und einzelnen Bindestrichen bestehen',
  ],
  [/^must be in lower case$/, 'muss klein geschrieben sein'],
  [
    /^must hold letters and digits of one script, and ASCII punctuation \(RFC 8265\)$/,
    'darf nur Buchstaben und Ziffern einer Schrift und ASCII-Zeichen enthalten',
  ],
  [
    /^must not hold control, ignorable or unassigned characters \(RFC 8265, OpaqueString\)$/,
    'darf keine Steuerzeichen, unsichtbaren oder nicht vergebenen Zeichen enthalten',
  ],
  [/^must be a UUID$/, 'muss eine UUID sein'],
  [/^must be a day such as (.+)$/, 'muss ein Tag sein, etwa $1'],
  [/^must be a month such as (.+)$/, 'muss ein Monat sein, etwa $1'],
  [/^must be a dotted path such as crm\.contacts$/, 'muss ein Pfad wie crm.contacts sein'],
  [
    /^must be a dotted path such as crm\.contacts, or null for all items$/,
    'muss ein Pfad wie crm.contacts sein, oder leer für alles',
  ],
  [
    /^must be a path of this gateway, such as \/, or a URL of an origin in CORS_ORIGINS$/,
    'muss ein Pfad dieses Gateways wie / sein, oder eine URL aus CORS_ORIGINS',
  ],
  [
    /^must be a public key: (.+), without its private part$/,
    'muss ein öffentlicher Schlüssel sein: $1, ohne den privaten Teil',
  ],
  [/^must be a whole number of 1 or more$/, 'muss eine ganze Zahl ab 1 sein'],
  [/^must be a whole number, or null for no limit$/, 'muss eine ganze Zahl sein, oder leer für unbegrenzt'],
  [/^must be an email address$/, 'muss eine E-Mail-Adresse sein'],
  [/^must be in the future$/, 'muss in der Zukunft liegen'],
  [
    /^must be in the future; to end a link now, DELETE it$/,
    'muss in der Zukunft liegen; um einen Link jetzt zu beenden, entziehen Sie ihn',
  ],
  [/^must be one line of printable characters$/, 'muss eine Zeile aus druckbaren Zeichen sein'],
  [/^must be printable characters$/, 'muss aus druckbaren Zeichen bestehen'],
  [/^must be the id of a session$/, 'muss die ID einer Sitzung sein'],
  [
    /^must be the nextCursor of another page of this list$/,
    'muss der nextCursor einer anderen Seite dieser Liste sein',
  ],
  [/^must be the one of the Authorization header$/, 'muss mit dem Authorization-Header übereinstimmen'],
  [/^must be the same both times$/, 'muss beide Male gleich sein'],
  [/^must be true or false$/, 'muss wahr oder falsch sein'],
  [/^must be given with item$/, 'muss zusammen mit dem Gegenstand angegeben werden'],
  [
    /^must be given, or username, and not both$/,
    'muss angegeben werden, oder der Benutzername, und nicht beides',
  ],
  [
    /^must be n \(none\), m \(my own\), g \(my group\) or a \(all\)$/,
    'muss n (nichts), m (eigene), g (Gruppe) oder a (alle) sein',
  ],
  [/^must be ([\w., -]+), with - for the other way round$/, 'muss $1 sein, mit - für die andere Richtung'],
  [/^must be ([\w., -]+)$/, 'muss $1 sein'],
  [/^must have at least (\d+) characters$/, 'muss mindestens $1 Zeichen haben'],
  [/^must have at most (\d+) (?:characters|bytes)$/, 'darf höchstens $1 Zeichen haben'],
  [/^must not be empty$/, 'darf nicht leer sein'],
  [/^must not be the current password$/, 'darf nicht das jetzige Passwort sein'],
  [/^must not be the username$/, 'darf nicht der Benutzername sein'],
  [
    /^must not begin with preview-, which is for previews$/,
    'darf nicht mit preview- beginnen: das ist für Vorschauen',
  ],
  [/^must not hold (?:a )?NUL(?: character)?$/, 'darf kein NUL-Zeichen enthalten'],
  [/^must not hold blanks or control characters$/, 'darf keine Leer- oder Steuerzeichen enthalten'],
  [/^must not name more than (\d+) roles$/, 'darf nicht mehr als $1 Rollen nennen'],
  [/^cannot be combined with q: .+$/, 'lässt sich nicht mit einer Suche verbinden'],
  [/^cannot be said here: .+$/, 'kann hier nicht angegeben werden: diesen Aufruf gibt es nur ohne Vorschau'],
  [
    /^is a role of an instance: .+$/,
    'ist eine Rolle einer Instanz: geben Sie sie mit dem Zugang zu dieser Instanz',
  ],
  [/^is a role of another instance$/, 'ist eine Rolle einer anderen Instanz'],
  [/^is no feature: .+$/, 'ist keine Funktion: ein Plattform-Admin kann sie anlegen'],
  [/^is taken$/, 'ist vergeben'],
  [/^Too small: expected string to have >=(\d+) characters$/, 'muss mindestens $1 Zeichen haben'],
  [/^Too big: expected string to have <=(\d+) characters$/, 'darf höchstens $1 Zeichen haben'],
  [/^Invalid input: .+$/, 'ist nicht gültig'],
  [/^Unrecognized keys?: .+$/, 'enthält unbekannte Felder'],

  [
    /^The (?:body|query|request) is not valid$/,
    'Eine Angabe ist nicht gültig. Berichtigen Sie sie und versuchen Sie es noch einmal.',
  ],
  [/^This contradicts what is already stored$/, 'Das gibt es schon. Wählen Sie einen anderen Namen.'],
  [
    /^There is nothing with this id$/,
    'Unter diesem Namen oder dieser ID gibt es hier nichts. Prüfen Sie die Schreibweise; vielleicht wurde es gelöscht.',
  ],
  [
    /^There is no user with this id or username$/,
    'Diesen Benutzer gibt es nicht. Prüfen Sie die Schreibweise.',
  ],
  [
    /^There is no user with this id who signs in with a password$/,
    'Diesen Benutzer gibt es nicht, oder er meldet sich nicht mit einem Passwort an.',
  ],
  [
    /^(\S+) is the last (\S+) who is enabled\. Make another one first\.$/,
    '$1 ist der letzte aktive $2. Ernennen Sie zuerst einen weiteren.',
  ],
  [
    /^There are (\d+) instances of this feature\. Delete them first\.$/,
    'Es gibt $1 Instanzen dieser Funktion. Löschen Sie sie zuerst.',
  ],
  [
    /^This is about yourself\. .+$/,
    'Das betrifft Sie selbst. Jemand anderes, der dieses Mandat verwaltet, muss es tun.',
  ],
  [
    /^This would take from yourself ([a-z, ]+) on RESOURCE (\S+)\. .+$/,
    'Das nähme Ihnen selbst $1 auf RESOURCE $2. Jemand anderes, der dieses Mandat verwaltet, muss es tun.',
  ],
  [
    /^This user is no member of the mandate\. Make them one first\.$/,
    'Dieser Benutzer ist kein Mitglied des Mandats. Nehmen Sie ihn zuerst auf.',
  ],
  [
    /^The subscription of this mandate allows (\d+) ([a-z ]+), and there are (\d+)\..*$/,
    'Das Abonnement dieses Mandats erlaubt $1 ($2), und es sind schon $3.',
  ],
  [/^Nobody erases themselves: .+$/, 'Niemand löscht sich selbst: jemand anderes muss davon wissen.'],
  [
    /^This account has no password: .+$/,
    'Dieses Konto hat kein Passwort: es meldet sich anders an. Die Verwaltung kann einen Link schicken, um eines zu setzen.',
  ],
  [
    /^The password has been changed meanwhile\. .+$/,
    'Das Passwort wurde inzwischen geändert. Melden Sie sich neu an.',
  ],
  [
    /^This is your last way in\. .+$/,
    'Das ist Ihr letzter Anmeldeweg. Verbinden Sie zuerst ein anderes Konto, oder bitten Sie um einen Link, um ein Passwort zu setzen.',
  ],
  [
    /^This (.+) account is linked to somebody else here$/,
    'Dieses $1-Konto ist hier mit jemand anderem verbunden',
  ],
  [
    /^This key signs\. .+$/,
    'Dieser Schlüssel signiert. Starten Sie die Knoten zuerst mit einem anderen Schlüssel, und mit diesem als vorherigem.',
  ],
  [
    /^This key comes from SECRET_KEY: .+$/,
    'Dieser Schlüssel stammt aus SECRET_KEY: starten Sie die Knoten mit einem anderen, und ohne diesen.',
  ],
  [
    /^The link of a preview keeps its label: .+$/,
    'Der Link einer Vorschau behält seine Bezeichnung: daran sind ihre Sitzungen zu erkennen.',
  ],
  [
    /^There is a client with the slug (\S+) in this mandate\. .+$/,
    'In diesem Mandat gibt es schon einen Kunden mit dem Kürzel $1. Wählen Sie ein anderes.',
  ],
  [/^The mandate is disabled, and its portal with it$/, 'Das Mandat ist gesperrt, und sein Portal mit ihm.'],
  [/^This text has not been changed$/, 'Dieser Text wurde nicht geändert.'],
  [/^The password is not good enough$/, 'Das Passwort genügt nicht.'],
  [
    /^This role is global: platform admins govern it$/,
    'Diese Rolle ist global: Plattform-Admins verwalten sie.',
  ],
  [/^Permission denied: (\w+) on (\w+) (.+)$/, 'Verweigert: $1 auf $2 $3'],
  [/^This would give yourself more than you have: (.+)$/, 'Das gäbe Ihnen selbst mehr, als Sie haben: $1'],
  [
    /^You can give only what you hold: this would give (.+)$/,
    'Sie können nur geben, was Sie selbst haben: das gäbe $1',
  ],
  [
    /^This user governs the platform\. .+$/,
    'Dieser Benutzer verwaltet die Plattform. Nur Plattform-Admins nehmen ihn auf, ändern, sperren oder entfernen ihn.',
  ],
  [/^Only a SysAdmin may do this to a SysAdmin$/, 'Das darf bei einem SysAdmin nur ein SysAdmin.'],
]

/** In German what the gateway says; undefined where that is not known. */
export function detailInGerman(english: string): string | undefined {
  const found = german.find(([pattern]) => pattern.test(english))
  return found && english.replace(found[0], found[1])
}
