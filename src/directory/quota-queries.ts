import { reason } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { lockMandate } from './authority-queries.js'
import type { Changing } from './scope.js'

const counted = {
  members: 'select count(*) from user_mandates where mandate_id = ?',
  instances: 'select count(*) from feature_instances where mandate_id = ?',
} as const

/**
 * Refuses one more than the mandate's subscription allows; others who add to it wait meanwhile. Throws
 * `conflict`.
 */
export async function refuseOverQuota(
  tx: Changing,
  mandateId: string,
  what: keyof typeof counted,
): Promise<void> {
  await lockMandate(tx, mandateId)
  const [row] = await tx.rows<{ quota: number | null; used: string }>(
    `select s.${what} as quota, (${counted[what]}) as used from subscriptions s where s.mandate_id = ?`,
    [mandateId, mandateId],
  )
  if (typeof row?.quota === 'number' && Number(row.used) >= row.quota)
    throw new GatewayError('conflict', reason(`quota_${what}`, { quota: row.quota, used: row.used }))
}
