import type { Config } from '../config.js'
import type { WayOut } from './message.js'
import { smtpWayOut } from './smtp.js'
import { webhookWayOut } from './webhook.js'

/** The variables that name a way out. */
export type WayOutConfig = Pick<Config, 'SMTP_URL' | 'MAIL_FROM' | 'NOTIFY_URL' | 'NOTIFY_SECRET'>

/** Opens the way out that is configured, if there is one. */
export function openWayOut({
  SMTP_URL,
  MAIL_FROM,
  NOTIFY_URL,
  NOTIFY_SECRET,
}: WayOutConfig): WayOut | undefined {
  if (SMTP_URL !== undefined && MAIL_FROM !== undefined) return smtpWayOut({ url: SMTP_URL, from: MAIL_FROM })
  if (NOTIFY_URL !== undefined && NOTIFY_SECRET !== undefined)
    return webhookWayOut({ url: NOTIFY_URL, secret: NOTIFY_SECRET })
  return undefined
}
