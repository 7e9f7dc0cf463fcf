import type { Language } from './language'

/** What the actions of the audit are called. */
const names: Record<string, readonly [string, string]> = {
  access_added: ['Access given', 'Zugang gegeben'], access_changed: ['Access changed', 'Zugang geändert'], access_removed: ['Access removed', 'Zugang entfernt'],
  access_denied: ['Access denied', 'Zugriff verweigert'],
  audit_chain_broken: ['Audit chain broken', 'Protokollkette gebrochen'], audit_events_dropped: ['Audit events dropped', 'Protokollereignisse verloren'], audit_person_erased: ['Person erased from audit', 'Person aus Protokoll gelöscht'],
  feature_changed: ['Feature changed', 'Funktion geändert'], feature_created: ['Feature created', 'Funktion angelegt'], feature_deleted: ['Feature deleted', 'Funktion gelöscht'],
  first_access_issued: ['First access issued', 'Erstzugang ausgestellt'], first_access_used: ['First access used', 'Erstzugang benutzt'],
  identity_key_made: ['Identity key made', 'Identitätsschlüssel erzeugt'], identity_key_removed: ['Identity key removed', 'Identitätsschlüssel entfernt'],
  identity_linked: ['Account linked', 'Konto verbunden'], identity_unlinked: ['Account unlinked', 'Konto getrennt'],
  instance_changed: ['Instance changed', 'Instanz geändert'], instance_created: ['Instance created', 'Instanz angelegt'], instance_deleted: ['Instance deleted', 'Instanz gelöscht'],
  key_retired: ['Key retired', 'Schlüssel zurückgezogen'],
  login_failed: ['Sign-in failed', 'Anmeldung gescheitert'], logins_limited: ['Address shut out from signing in', 'Adresse von der Anmeldung ausgesperrt'], sign_in_refused: ['Sign-in refused', 'Anmeldung abgelehnt'],
  mandate_changed: ['Mandate changed', 'Mandat geändert'], mandate_created: ['Mandate created', 'Mandat angelegt'], mandate_deleted: ['Mandate deleted', 'Mandat gelöscht'],
  member_added: ['Member added', 'Mitglied aufgenommen'], member_changed: ['Member changed', 'Mitglied geändert'], member_removed: ['Member removed', 'Mitglied entfernt'],
  password_changed: ['Password changed', 'Passwort geändert'],
  platform_admin_action: ['Platform admin at work', 'Plattform-Admin tätig'], platform_admin_action_refused: ['Platform level refused', 'Plattform-Stufe verweigert'], platform_entry: ['Mandate entered by level', 'Mandat kraft Stufe betreten'],
  portal_client_changed: ['Portal client changed', 'Portalkunde geändert'], portal_client_created: ['Portal client created', 'Portalkunde angelegt'], portal_client_deleted: ['Portal client deleted', 'Portalkunde gelöscht'],
  portal_entered: ['Portal entered', 'Portal betreten'], portal_preview: ['Portal previewed', 'Portal-Vorschau'],
  portal_link_changed: ['Portal link changed', 'Portal-Link geändert'], portal_link_created: ['Portal link made', 'Portal-Link gemacht'], portal_link_revoked: ['Portal link revoked', 'Portal-Link entzogen'],
  project_changed: ['Project changed', 'Projekt geändert'], project_created: ['Project created', 'Projekt angelegt'], project_deleted: ['Project deleted', 'Projekt gelöscht'],
  refresh_reused: ['Refresh token reused', 'Refresh-Token wiederverwendet'],
  role_changed: ['Role changed', 'Rolle geändert'], role_created: ['Role created', 'Rolle angelegt'], role_deleted: ['Role deleted', 'Rolle gelöscht'],
  rule_changed: ['Rule changed', 'Regel geändert'], rule_created: ['Rule created', 'Regel angelegt'], rule_deleted: ['Rule deleted', 'Regel gelöscht'],
  service_account_changed: ['Service account changed', 'Dienstkonto geändert'], service_account_created: ['Service account created', 'Dienstkonto angelegt'], service_account_deleted: ['Service account deleted', 'Dienstkonto gelöscht'],
  service_key_made: ['Public key added', 'Öffentlicher Schlüssel hinzugefügt'], service_key_revoked: ['Public key removed', 'Öffentlicher Schlüssel entfernt'],
  service_secret_made: ['Secret made', 'Geheimnis gemacht'], service_secret_revoked: ['Secret removed', 'Geheimnis entfernt'],
  service_token_made: ['API token made', 'API-Token gemacht'], service_token_revoked: ['API token revoked', 'API-Token entzogen'],
  session_ended: ['Session ended', 'Sitzung beendet'], session_started: ['Signed in', 'Angemeldet'], sessions_ended: ['Sessions ended', 'Sitzungen beendet'],
  subscription_changed: ['Subscription changed', 'Abonnement geändert'], subscription_created: ['Subscription created', 'Abonnement angelegt'], subscription_deleted: ['Subscription deleted', 'Abonnement gelöscht'],
  sysadmin_action: ['SysAdmin at work', 'SysAdmin tätig'], sysadmin_action_refused: ['SysAdmin level refused', 'SysAdmin-Stufe verweigert'],
  sysadmin_granted: ['SysAdmin made', 'SysAdmin ernannt'], sysadmin_revoked: ['SysAdmin level taken', 'SysAdmin-Stufe genommen'],
  token_issued: ['Token issued', 'Token ausgegeben'], token_revoked: ['Token revoked', 'Token entzogen'],
  translation_changed: ['Text changed', 'Text geändert'], translation_reset: ['Text reset', 'Text zurückgesetzt'],
  user_changed: ['User changed', 'Benutzer geändert'], user_created: ['User created', 'Benutzer angelegt'], user_deleted: ['User deleted', 'Benutzer gelöscht'], user_signed_out: ['Signed out everywhere', 'Überall abgemeldet'],
}

/** An action in words; one that is not known here (of a newer gateway) by its own name. */
export const nameOfAction = (action: string, language: Language) => names[action]?.[language === 'de' ? 1 : 0] ?? action
