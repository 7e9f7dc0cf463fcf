import { randomUUID } from 'node:crypto'
import type { Sql } from '../database/connect.js'
import type { Logger } from '../observability/logger.js'
import { deleteNode, upsertNode } from './node-queries.js'

const announceEveryMs = 5000

/** Keeps this node on the list of `/system/nodes` until the answer is called. */
export async function announceNode({ sql, logger, address }: { sql: Sql; logger: Logger; address: string }): Promise<() => Promise<void>> {
  const node = { id: randomUUID(), address, processId: process.pid }
  await upsertNode(sql, node)
  const timer = setInterval(() => {
    upsertNode(sql, node).catch((error: unknown) => logger.warn('this node could not announce itself', { error }))
  }, announceEveryMs)
  timer.unref()
  return async () => {
    clearInterval(timer)
    await deleteNode(sql, node.id).catch((error: unknown) => logger.warn('this node could not take itself off the list', { error }))
  }
}
