/** A statement's values. Each `?` in the statement stands for one, in order. */
export type Values = readonly (string | number | boolean | Date | null | string[])[]

/**
 * Runs SQL on the pool, or in one transaction of it. Rejects with a GatewayError: `conflict` for a row that
 * exists or is referred to, `validation_failed` for a value that cannot be stored, else
 * `directory_unavailable`. The database's own message stays in its `cause`.
 */
export interface Sql {
  /** Runs a statement and returns its rows. */
  rows: <Row>(statement: string, values?: Values) => Promise<Row[]>
  /** Runs a statement and returns how many rows it touched. */
  run: (statement: string, values?: Values) => Promise<number>
}

declare const transactionBrand: unique symbol

/**
 * One transaction: all its statements take effect together or not at all. Only `Database.transaction` makes
 * one.
 */
export type Tx = Sql & { readonly [transactionBrand]: true }

/** Rows that a statement returned, and how many it touched. */
export interface StatementResult {
  rows: unknown[]
  count: number
}

/** How a transaction ended, and the identity of the history that it ran in. */
export type Ended<Result> = {
  identity: string
  /**
   * Whether its commit wrote something. Such a commit has waited for the synchronous standby, if there is
   * one.
   */
  wrote: boolean
} & (
  | { result: Result }
  | {
      /** Why it was rolled back: its work, or the database, refused it. */
      refusal: unknown
    }
)

/** Connections to whichever servers answer, of any history. Rejects when a server cannot be asked. */
export interface Pool {
  /** Runs one statement in a transaction of its own. */
  once: (statement: string, values?: Values) => Promise<Ended<StatementResult>>
  transact: <Result>(work: (tx: Tx) => Promise<Result>) => Promise<Ended<Result>>
  /** Connections that are used, free, and waited for. */
  connections: () => ConnectionCounts
  close: () => Promise<void>
}

/** How many connections of a pool are used, free, and waited for. */
export interface ConnectionCounts {
  used: number
  free: number
  pending: number
}
