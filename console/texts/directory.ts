/** Of the pages about people and what they may. */
export const directory = {
  'users': ['Users', 'Benutzer'],
  'users.hint': ['Everybody who can sign in, in all mandates.', 'Alle, die sich anmelden können, in allen Mandaten.'],
  'users.empty': ['There are no users yet', 'Es gibt noch keine Benutzer'],
  'users.empty.hint': ['Create the first one to give somebody access.', 'Legen Sie den ersten an, um jemandem Zugang zu geben.'],
  'user': ['User', 'Benutzer'],
  'user.email': ['Email', 'E-Mail'],
  'user.level': ['Level', 'Stufe'],
  'user.disable': ['Disable {name}?', '{name} sperren?'],
  'user.disable.hint': ['All their sessions and streams end before this answers. They can be enabled again, and then sign in anew.', 'Alle Sitzungen und Ströme enden, bevor dies antwortet. Die Person kann wieder freigegeben werden und meldet sich dann neu an.'],
  'user.disabled': ['{name} is disabled', '{name} ist gesperrt'],
  'user.enabled': ['{name} is enabled', '{name} ist freigegeben'],
} as const
