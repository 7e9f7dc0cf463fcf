import { createHmac } from 'node:crypto'
import { SendError, type WayOut } from './message.js'

const timeoutMs = 10_000
/** The receiver wants nothing more (410 Gone). */
const gone = 410

/** Returns the headers of Standard Webhooks 1.0. The key is the secret's bytes as they are. */
export function signatureOf(id: string, body: string, secret: string, nowMs: number): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1000))
  const signature = createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
}

/** Posts a body and returns the status. Rejects with a SendError where there is none within 10 s. */
async function post(url: string, id: string, body: string, secret: string): Promise<number> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'Content-Type': 'application/json', ...signatureOf(id, body, secret, Date.now()) },
      body,
      signal: AbortSignal.timeout(timeoutMs),
    })
    await answer.body?.cancel()
    return answer.status
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } }
    const why =
      error instanceof DOMException ? `no answer within ${timeoutMs / 1000} s` : (cause?.code ?? 'it failed')
    throw new SendError(`webhook: ${why}`, false)
  }
}

/** Opens the way out by a webhook. */
export function webhookWayOut({ url, secret }: { url: string; secret: string }): WayOut {
  return {
    send: async (envelope) => {
      const status = await post(url, envelope.id, JSON.stringify(envelope), secret)
      if (status < 200 || status > 299) throw new SendError(`webhook: HTTP ${status}`, status === gone)
    },
    // A signed body that is no message: a receiver that is right refuses it, and one that is there answers.
    probe: async () => {
      const status = await post(url, 'probe', JSON.stringify({ kind: 'probe' }), secret)
      const isMissing = status === 404 || status === gone || status >= 500 || (status >= 300 && status < 400)
      if (isMissing) throw new SendError(`webhook: HTTP ${status}`, false)
      if (status === 401 || status === 403)
        throw new SendError(`webhook: HTTP ${status}: does it hold the same NOTIFY_SECRET?`, false)
    },
    close: () => undefined,
  }
}
