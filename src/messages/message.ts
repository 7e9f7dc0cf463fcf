import type { Language } from '../domain/languages.js'

/** The kinds of messages. */
export const messageKinds = [
  'invitation',
  'first_access',
  'password_reset',
  'email_confirm',
  'email_notice',
  'security_notice',
] as const
export type MessageKind = (typeof messageKinds)[number]

/** The states of a message. All but `pending` are final. */
export const messageStates = ['pending', 'sent', 'failed', 'cancelled'] as const
export type MessageState = (typeof messageStates)[number]

/** What a `security_notice` reports: the keys `notice.*` of `mail` in `locales/`. */
export type SecurityEvent =
  | 'password_changed'
  | 'factor_added'
  | 'factor_removed'
  | 'factors_reset'
  | 'factor_guessed'
  | 'recovery_code_used'
  | 'identity_linked'
  | 'identity_unlinked'

/** A link of a message: a path on the gateway that ends with the link's token. */
export interface MessageLink {
  path: string
  expiresAt: Date
}

/** A message to be written. */
export interface NewMessage {
  kind: MessageKind
  /** The address. */
  to: string
  language: Language
  /** The account that it is about. */
  userId?: string
  username?: string
  mandateId?: string
  mandateLabel?: string
  /** The name of the person who invites. */
  inviter?: string
  link?: MessageLink
  /** What a `security_notice` reports. */
  event?: SecurityEvent
}

/** A message as the ways out get it: what the webhook is sent. */
export interface Envelope {
  id: string
  kind: MessageKind
  to: string
  language: Language
  subject: string
  text: string
  html: string
  data: {
    link: string | null
    mandateId: string | null
    mandateLabel: string | null
    username: string | null
  }
  /** When the link ends (RFC 3339). */
  expiresAt: string | null
}

/** How an attempt to send ended badly. `isFinal`: no other attempt is made. */
export class SendError extends Error {
  constructor(
    message: string,
    readonly isFinal: boolean,
  ) {
    super(message)
    this.name = 'SendError'
  }
}

/** A way out: SMTP or a webhook. */
export interface WayOut {
  /** Sends one message. Rejects with a SendError, whose message holds no link. */
  send: (envelope: Envelope) => Promise<void>
  /** Finds out whether it would take messages, and sends none. Rejects with the reason. */
  probe: () => Promise<void>
  close: () => void
}
