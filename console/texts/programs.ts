/** Of the pages for service accounts. */
export const programs = {
  programs: ['Service accounts', 'Dienstkonten'],
  'programs.hint': [
    'Accounts of programs. They are members of mandates like people, and sign in by what you make for them here.',
    'Konten von Programmen. Sie sind Mitglieder von Mandaten wie Menschen und melden sich mit dem an, was Sie hier für sie machen.',
  ],
  'programs.empty': ['There are no service accounts yet', 'Es gibt noch keine Dienstkonten'],
  'programs.empty.hint': [
    'Create one, give it a secret, then add it to a mandate by its name.',
    'Legen Sie eines an, geben Sie ihm ein Geheimnis und nehmen Sie es mit seinem Namen in ein Mandat auf.',
  ],
  program: ['Service account', 'Dienstkonto'],
  'program.new': ['New service account', 'Neues Dienstkonto'],
  'program.username.hint': [
    'Lower case, no blanks. Also its client_id; it cannot be changed later.',
    'Kleinbuchstaben, ohne Leerzeichen. Auch die client_id; später nicht änderbar.',
  ],
  'program.fullName': ['What it is for', 'Wozu es da ist'],
  'program.made': ['{name} is created', '{name} ist angelegt'],
  'program.saved': ['{name} is saved', '{name} ist gespeichert'],
  'program.clientId': ['client_id', 'client_id'],
  'program.disable': ['Disable {name}?', '{name} sperren?'],
  'program.disable.hint': [
    'None of its tokens, secrets and keys lets it in any more when this answers. It can be enabled again.',
    'Keines seiner Tokens, Geheimnisse und Schlüssel lässt es mehr herein, sobald dies antwortet. Es kann wieder freigegeben werden.',
  ],
  'program.isDisabled': ['{name} is disabled', '{name} ist gesperrt'],
  'program.isEnabled': ['{name} is enabled', '{name} ist freigegeben'],
  'program.delete': ['Delete {name}?', '{name} löschen?'],
  'program.delete.hint': [
    'Its credentials, tokens and memberships go with it, for good.',
    'Seine Zugangsdaten, Tokens und Mitgliedschaften gehen endgültig mit.',
  ],
  'program.deleted': ['{name} is deleted', '{name} ist gelöscht'],
  'program.ofSysAdmin': [
    'This account is a SysAdmin: only SysAdmins change what it is let in by.',
    'Dieses Konto ist SysAdmin: nur SysAdmins ändern, womit es hereinkommt.',
  ],

  secrets: ['Secrets', 'Geheimnisse'],
  'secrets.hint': [
    'For the grant client_credentials at /auth/token. Several may count at once, so that one can be exchanged without a gap.',
    'Für den Grant client_credentials an /auth/token. Mehrere gelten zugleich, damit sich eines lückenlos tauschen lässt.',
  ],
  'secrets.empty': ['No secrets', 'Keine Geheimnisse'],
  'secrets.empty.hint': [
    'Make one and put it into the program’s configuration.',
    'Machen Sie eines und tragen Sie es in die Konfiguration des Programms ein.',
  ],
  'secrets.new': ['New secret', 'Neues Geheimnis'],
  'secrets.made': ['The secret of {name}', 'Das Geheimnis von {name}'],
  'secrets.revoke': ['Remove the secret “{label}”?', 'Das Geheimnis „{label}“ entfernen?'],
  'secrets.revoke.hint': [
    'No node accepts it any more when this answers, nor the tokens that were given for it.',
    'Kein Knoten nimmt es mehr an, sobald dies antwortet, auch nicht die Tokens, die es dafür gab.',
  ],
  'secrets.revoked': ['The secret “{label}” is removed', 'Das Geheimnis „{label}“ ist entfernt'],
  publicKeys: ['Public keys', 'Öffentliche Schlüssel'],
  'publicKeys.hint': [
    'For signed assertions (RFC 7523): the private part never leaves the program.',
    'Für signierte Zusicherungen (RFC 7523): der private Teil bleibt im Programm.',
  ],
  'publicKeys.empty': ['No keys', 'Keine Schlüssel'],
  'publicKeys.empty.hint': [
    'Add the public half of a key that the program holds.',
    'Fügen Sie die öffentliche Hälfte eines Schlüssels hinzu, den das Programm hat.',
  ],
  'publicKeys.new': ['New key', 'Neuer Schlüssel'],
  'publicKeys.jwk': ['Public JWK', 'Öffentlicher JWK'],
  'publicKeys.jwk.hint': [
    'EC P-256, Ed25519, or RSA of 2048 bits or more, as JSON.',
    'EC P-256, Ed25519 oder RSA ab 2048 Bit, als JSON.',
  ],
  'publicKeys.jwk.bad': [
    'This is no JSON object. Copy the whole JWK, from { to }.',
    'Das ist kein JSON-Objekt. Kopieren Sie den ganzen JWK, von { bis }.',
  ],
  'publicKeys.generate': ['Make a pair in this browser', 'Paar in diesem Browser machen'],
  'publicKeys.private': ['The private key of {name}', 'Der private Schlüssel von {name}'],
  'publicKeys.added': ['The key “{label}” is known', 'Der Schlüssel „{label}“ ist bekannt'],
  'publicKeys.revoke': ['Remove the key “{label}”?', 'Den Schlüssel „{label}“ entfernen?'],
  'publicKeys.revoke.hint': [
    'No node accepts what it signs any more when this answers, nor the tokens that were given for that.',
    'Kein Knoten nimmt mehr an, was er signiert, sobald dies antwortet, auch nicht die Tokens, die es dafür gab.',
  ],
  'publicKeys.revoked': ['The key “{label}” is removed', 'Der Schlüssel „{label}“ ist entfernt'],
  apiTokens: ['API tokens', 'API-Tokens'],
  'apiTokens.hint': [
    'For programs that can only send one fixed token. They live 400 days at most.',
    'Für Programme, die nur ein festes Token senden können. Sie leben höchstens 400 Tage.',
  ],
  'apiTokens.empty': ['No API tokens', 'Keine API-Tokens'],
  'apiTokens.empty.hint': [
    'Prefer a secret where the program can ask for tokens itself.',
    'Nehmen Sie lieber ein Geheimnis, wo das Programm selbst Tokens holen kann.',
  ],
  'apiTokens.new': ['New API token', 'Neues API-Token'],
  'apiTokens.made': ['The API token of {name}', 'Das API-Token von {name}'],
  'apiTokens.revoke': ['Revoke the API token “{label}”?', 'Das API-Token „{label}“ entziehen?'],
  'apiTokens.revoke.hint': [
    'No node accepts it any more when this answers.',
    'Kein Knoten nimmt es mehr an, sobald dies antwortet.',
  ],
  'apiTokens.revoked': ['The API token “{label}” is revoked', 'Das API-Token „{label}“ ist entzogen'],
  'credential.label.hint': [
    'So that you know it again: where it is used.',
    'Damit Sie es wiedererkennen: wo es benutzt wird.',
  ],
  'credential.expires': ['Expires', 'Läuft ab'],
  'credential.expires.hint': ['Empty: not before it is removed.', 'Leer: erst wenn es entfernt wird.'],
  'credential.expired': ['expired', 'abgelaufen'],
  'credential.used': ['Last used', 'Zuletzt benutzt'],
  'credential.once': [
    'Copy it now: it is shown this once, and only its hash is kept.',
    'Kopieren Sie es jetzt: es ist nur dieses eine Mal zu sehen, aufbewahrt wird nur sein Hash.',
  ],
  'credential.once.key': [
    'Copy it now: it was made in this browser and is kept nowhere.',
    'Kopieren Sie ihn jetzt: er entstand in diesem Browser und ist nirgends aufbewahrt.',
  ],
  'credential.use': ['How the program uses it', 'So benutzt es das Programm'],
  'credential.kept': ['I have copied it', 'Ich habe es kopiert'],
  'credential.remove': ['Remove', 'Entfernen'],
  'credential.ends': [
    'Ends {count} tokens that were given for it.',
    'Beendet {count} dafür ausgegebene Tokens.',
  ],
} as const
