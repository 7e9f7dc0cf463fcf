/** Each code of a refusal or failure, in words: what happened, then what to do. */
export const problems = {
  'problem.expectation_failed': [
    'The gateway cannot meet what the request expects. Reload the page and try again.',
    'Das Gateway kann nicht erfüllen, was die Anfrage erwartet. Laden Sie die Seite neu und versuchen Sie es noch einmal.',
  ],
  'problem.header_ambiguous': [
    'A header of the request can be read in two ways. Remove what changes requests on the way, such as a browser extension.',
    'Ein Header der Anfrage ist mehrdeutig. Entfernen Sie, was Anfragen unterwegs ändert, etwa eine Browser-Erweiterung.',
  ],
  'problem.path_ambiguous': [
    'The address can be read in two ways. Check how it is written.',
    'Die Adresse ist mehrdeutig. Prüfen Sie ihre Schreibweise.',
  ],
  'problem.request_malformed': [
    'The request is not valid HTTP. Reload the page and try again.',
    'Die Anfrage ist kein gültiges HTTP. Laden Sie die Seite neu und versuchen Sie es noch einmal.',
  ],
  'problem.headers_too_large': [
    'The headers of the request are too large. Delete the cookies of this site and sign in again.',
    'Die Header der Anfrage sind zu groß. Löschen Sie die Cookies dieser Seite und melden Sie sich neu an.',
  ],
  'problem.mandate_id_invalid': [
    'This is no id of a mandate. Choose the mandate anew.',
    'Das ist keine ID eines Mandats. Wählen Sie das Mandat neu.',
  ],
  'problem.instance_id_invalid': [
    'This is no id of an instance. Choose the instance anew.',
    'Das ist keine ID einer Instanz. Wählen Sie die Instanz neu.',
  ],
  'problem.mandate_required': [
    'This is done within a mandate. Choose one first.',
    'Das geschieht innerhalb eines Mandats. Wählen Sie zuerst eines.',
  ],
  'problem.instance_required': [
    'This is done within an instance. Choose one first.',
    'Das geschieht innerhalb einer Instanz. Wählen Sie zuerst eine.',
  ],
  'problem.validation_failed': [
    'Something that was filled in is not valid. Correct it and try again.',
    'Eine Angabe ist nicht gültig. Berichtigen Sie sie und versuchen Sie es noch einmal.',
  ],
  'problem.body_invalid': [
    'The gateway cannot read what was sent. Reload the page and try again.',
    'Das Gateway kann nicht lesen, was gesendet wurde. Laden Sie die Seite neu und versuchen Sie es noch einmal.',
  ],
  'problem.body_too_large': [
    'This is too large to be sent. Shorten it.',
    'Das ist zu groß, um gesendet zu werden. Kürzen Sie es.',
  ],
  'problem.unsupported_media_type': [
    'The gateway does not take this kind of content. Reload the page and try again.',
    'Das Gateway nimmt diese Art von Inhalt nicht an. Laden Sie die Seite neu und versuchen Sie es noch einmal.',
  ],
  'problem.authentication_required': [
    'You are not signed in. Sign in and try again.',
    'Sie sind nicht angemeldet. Melden Sie sich an und versuchen Sie es noch einmal.',
  ],
  'problem.token_invalid': [
    'Your session has ended. Sign in again.',
    'Ihre Sitzung ist beendet. Melden Sie sich neu an.',
  ],
  'problem.token_expired': [
    'Your session has expired. Sign in again.',
    'Ihre Sitzung ist abgelaufen. Melden Sie sich neu an.',
  ],
  'problem.user_mismatch': [
    'Somebody else is signed in by now. Reload the page.',
    'Inzwischen ist jemand anderes angemeldet. Laden Sie die Seite neu.',
  ],
  'problem.credentials_invalid': [
    'Username or password is wrong. Check both and try again.',
    'Benutzername oder Passwort ist falsch. Prüfen Sie beides und versuchen Sie es noch einmal.',
  ],
  'problem.client_invalid': [
    'The service account is unknown, or its secret is wrong.',
    'Das Dienstkonto ist unbekannt, oder sein Geheimnis ist falsch.',
  ],
  'problem.refresh_invalid': [
    'Your session cannot be renewed. Sign in again.',
    'Ihre Sitzung lässt sich nicht erneuern. Melden Sie sich neu an.',
  ],
  'problem.portal_access_required': [
    'The portal opens by a link. Ask for a new one.',
    'Das Portal öffnet sich durch einen Link. Bitten Sie um einen neuen.',
  ],
  'problem.sign_in_invalid': [
    'This sign-in cannot be completed. Begin again.',
    'Diese Anmeldung lässt sich nicht abschließen. Beginnen Sie von vorn.',
  ],
  'problem.sign_in_refused': [
    'The provider has refused the sign-in. Try again, or sign in in another way.',
    'Der Anbieter hat die Anmeldung abgelehnt. Versuchen Sie es noch einmal oder melden Sie sich anders an.',
  ],
  'problem.identity_unknown': [
    'This account is linked to nobody here. Sign in with your password and link it first.',
    'Dieses Konto ist hier mit niemandem verbunden. Melden Sie sich mit dem Passwort an und verbinden Sie es zuerst.',
  ],
  'problem.provider_failed': [
    'The provider has answered something that is not valid. Try again later.',
    'Der Anbieter hat etwas Ungültiges geantwortet. Versuchen Sie es später noch einmal.',
  ],
  'problem.provider_unavailable': [
    'The provider cannot be reached. Try again later.',
    'Der Anbieter ist nicht erreichbar. Versuchen Sie es später noch einmal.',
  ],
  'problem.user_disabled': [
    'This account is disabled. Ask an administrator.',
    'Dieses Konto ist gesperrt. Wenden Sie sich an die Verwaltung.',
  ],
  'problem.membership_disabled': [
    'The membership in this mandate is disabled. Ask an administrator of the mandate.',
    'Die Mitgliedschaft in diesem Mandat ist gesperrt. Wenden Sie sich an die Verwaltung des Mandats.',
  ],
  'problem.not_a_member': [
    'You are no member of this mandate. Ask an administrator of the mandate.',
    'Sie sind kein Mitglied dieses Mandats. Wenden Sie sich an die Verwaltung des Mandats.',
  ],
  'problem.mandate_disabled': [
    'This mandate is disabled. A platform admin can enable it.',
    'Dieses Mandat ist gesperrt. Ein Plattform-Admin kann es freigeben.',
  ],
  'problem.no_instance_access': [
    'You have no access to this instance. Ask an administrator of the mandate.',
    'Sie haben keinen Zugang zu dieser Instanz. Wenden Sie sich an die Verwaltung des Mandats.',
  ],
  'problem.feature_access_disabled': [
    'The access to this instance is disabled. Ask an administrator of the mandate.',
    'Der Zugang zu dieser Instanz ist gesperrt. Wenden Sie sich an die Verwaltung des Mandats.',
  ],
  'problem.sysadmin_required': ['Only a SysAdmin can do this.', 'Das kann nur ein SysAdmin.'],
  'problem.platform_admin_required': [
    'Only a platform admin can do this.',
    'Das kann nur ein Plattform-Admin.',
  ],
  'problem.permission_denied': ['Your roles do not allow this.', 'Ihre Rollen erlauben das nicht.'],
  'problem.address_not_allowed': [
    'This cannot be used from the network address that you come from. Ask whoever runs the gateway.',
    'Das geht nicht von der Netzwerkadresse, von der Sie kommen. Wenden Sie sich an die Betreiber des Gateways.',
  ],
  'problem.cross_site_request': [
    'This came from another site and was refused. Open the page of the gateway itself.',
    'Das kam von einer anderen Seite und wurde abgelehnt. Öffnen Sie die Seite des Gateways selbst.',
  ],
  'problem.not_found': [
    'There is nothing here by this name or id. Check how it is written; perhaps somebody has deleted it.',
    'Unter diesem Namen oder dieser ID gibt es hier nichts. Prüfen Sie die Schreibweise; vielleicht wurde es gelöscht.',
  ],
  'problem.mandate_not_found': [
    'There is no such mandate. Choose another one.',
    'Dieses Mandat gibt es nicht. Wählen Sie ein anderes.',
  ],
  'problem.instance_not_found': [
    'There is no such instance. Choose another one.',
    'Diese Instanz gibt es nicht. Wählen Sie eine andere.',
  ],
  'problem.method_not_allowed': [
    'This cannot be done here. Reload the page and try again.',
    'Das geht hier nicht. Laden Sie die Seite neu und versuchen Sie es noch einmal.',
  ],
  'problem.conflict': [
    'There is one like this already, or something else depends on it. Choose another name, or look at what there is.',
    'Das gibt es schon, oder etwas anderes hängt davon ab. Wählen Sie einen anderen Namen oder sehen Sie nach, was da ist.',
  ],
  'problem.changed_meanwhile': [
    'Somebody else changed this meanwhile. Reload it and try again.',
    'Jemand anderes hat dies inzwischen geändert. Laden Sie neu und versuchen Sie es noch einmal.',
  ],
  'problem.rate_limited': [
    'Too many requests. Wait a moment.',
    'Zu viele Anfragen. Warten Sie einen Moment.',
  ],
  'problem.internal_error': [
    'The gateway has failed. Try again; whoever runs it finds the cause by the request id.',
    'Im Gateway ist ein Fehler aufgetreten. Versuchen Sie es noch einmal; die Betreiber finden die Ursache über die Anfrage-ID.',
  ],
  'problem.upstream_failed': [
    'The service behind the gateway has answered something that is not valid. Try again later.',
    'Der Dienst hinter dem Gateway hat etwas Ungültiges geantwortet. Versuchen Sie es später noch einmal.',
  ],
  'problem.upstream_unavailable': [
    'The service behind the gateway cannot be reached. Try again later.',
    'Der Dienst hinter dem Gateway ist nicht erreichbar. Versuchen Sie es später noch einmal.',
  ],
  'problem.upstream_timeout': [
    'The service behind the gateway takes too long. Try again later.',
    'Der Dienst hinter dem Gateway braucht zu lange. Versuchen Sie es später noch einmal.',
  ],
  'problem.authentication_unavailable': [
    'The database cannot be asked at the moment, so nothing is allowed. It resumes by itself.',
    'Die Datenbank ist gerade nicht erreichbar, darum ist nichts erlaubt. Es geht von selbst weiter.',
  ],
  'problem.directory_unavailable': [
    'The database cannot be asked at the moment, so nothing is allowed. It resumes by itself.',
    'Die Datenbank ist gerade nicht erreichbar, darum ist nichts erlaubt. Es geht von selbst weiter.',
  ],
  'problem.overloaded': [
    'The gateway has too much to do at the moment. It resumes by itself.',
    'Das Gateway hat gerade zu viel zu tun. Es geht von selbst weiter.',
  ],
} as const satisfies Record<`problem.${string}`, readonly [string, string]>
