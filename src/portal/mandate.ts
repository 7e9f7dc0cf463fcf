import type { Request } from 'express'
import { z } from 'zod'
import type { Coherence, Coherent, CoherentTx } from '../coherence/coherent.js'
import type { Database } from '../database/connect.js'
import { inMandate, type MandateTx } from '../database/mandate.js'
import { GatewayError } from '../errors.js'

/** Changes take no parameters: one that asks for something, such as `dryRun`, must not be made as if it did not. */
export const noQuery = z.strictObject({})

/** What reads and writes the rows of a mandate. */
export interface Rows {
  database: Database
  coherent: Coherent
}

/** The mandate that the caller has entered. */
function mandateOf({ context }: Request): string {
  if (!context?.mandateId) throw new GatewayError('mandate_required', 'Name the mandate in the header X-Mandate-Id')
  return context.mandateId
}

/** Foreign and unknown ids are answered alike. */
export const notFound = () => new GatewayError('not_found', 'There is nothing with this id')

/** What was found, else `not_found`. */
export function found<Row>(row: Row | undefined): Row {
  if (row === undefined) throw notFound()
  return row
}

/** Reads and adds, in the caller's mandate. */
export function within<Result>({ database }: Rows, req: Request, work: (tx: MandateTx, mandateId: string) => Promise<Result>): Promise<Result> {
  const mandateId = mandateOf(req)
  return database.transaction((tx) => inMandate(tx, mandateId, (inside) => work(inside, mandateId)))
}

/** Changes and takes away, in the caller's mandate: answers when no node acts on the old state any more. */
export function coherentWithin<Result>({ coherent }: Rows, req: Request, work: (tx: CoherentTx & MandateTx, mandateId: string) => Promise<Result>): Promise<{ result: Result; coherence: Coherence }> {
  const mandateId = mandateOf(req)
  return coherent((tx) => inMandate(tx, mandateId, (inside) => work(inside, mandateId)))
}

/** A row with what a change says of it; what the change leaves out stays. */
export function merged<Row extends object>(row: Row, change: { [Key in keyof Row]?: Row[Key] | undefined }): Row {
  return { ...row, ...Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) }
}
