import type { Tx } from './connect.js'

declare const mandateBrand: unique symbol

/**
 * Marks a transaction in which row-level security shows the rows of one mandate only. Only `inMandate` makes
 * one.
 */
interface InMandate {
  readonly [mandateBrand]: true
}

/** A transaction that has entered a mandate. */
export type MandateTx = Tx & InMandate

/**
 * Runs `work` in the mandate `mandateId` (a UUID). It reads and writes that mandate's rows only, whatever its
 * statements say. Afterwards the transaction is as before. When `work` rejects, the transaction must reject,
 * too.
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
