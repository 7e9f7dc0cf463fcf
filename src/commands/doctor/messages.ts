import { fault, ok, wordsOf, type Finding } from '../../domain/finding.js'
import { openWayOut, type WayOutConfig } from '../../messages/way-out.js'

/** Whether the mail server or the webhook takes messages, where one is configured. It sends none. */
export async function examineWayOut(config: WayOutConfig): Promise<Finding[]> {
  const wayOut = openWayOut(config)
  if (!wayOut) return [ok('messages', 'no way out: links are passed on by hand')]
  const isMail = config.SMTP_URL !== undefined
  const place = new URL(config.SMTP_URL ?? config.NOTIFY_URL ?? '').host
  try {
    await wayOut.probe()
    return [ok('messages', `${place} takes them`)]
  } catch (error) {
    const todo = isMail
      ? 'Mend SMTP_URL: host, port, name and password, and TLS. smtp:// to another machine needs STARTTLS.'
      : 'Mend NOTIFY_URL, and give its service the same NOTIFY_SECRET.'
    return [fault('messages', `${place} does not take them: ${wordsOf(error)}`, todo)]
  } finally {
    wayOut.close()
  }
}
