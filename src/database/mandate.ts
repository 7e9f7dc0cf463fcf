import type { Tx } from './connect.js'

declare const mandateBrand: unique symbol

/**
 * Marks a transaction in which row-level security shows one mandate's rows and no others. Only `inMandate`
 * makes one.
 */
interface InMandate {
  readonly [mandateBrand]: true
}

/** A transaction that has entered a mandate. */
export type MandateTx = Tx & InMandate

/**
 * Runs `work` in the mandate `mandateId` (a UUID): what it reads and writes meanwhile is that mandate's,
 * whatever its statements say; rows of others are not there. The transaction is what it was before when
 * `work` is done; when it rejects, so must the transaction.
 */
export async function inMandate<Transaction extends Tx, Result>(
  tx: Transaction,
  mandateId: string,
  work: (tx: Transaction & InMandate) => Promise<Result>,
): Promise<Result> {
  await tx.rows(`select set_config('gateway.mandate', ?, true)`, [mandateId])
  // The mark is made here and nowhere else.
  const result = await work(tx as Transaction & InMandate)
  await tx.rows(`select set_config('gateway.mandate', '', true)`)
  return result
}
