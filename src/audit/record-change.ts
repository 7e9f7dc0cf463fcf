import type { Request } from 'express'
import type { Tx } from '../database/connect.js'
import { insertAuditEvents } from './audit-queries.js'
import { dated } from './event.js'

/** Who did something, and from where. */
export interface Actor {
  userId: string | null
  requestId: string
  address?: string
  /** Who called the command line, by the operating system's name, where it was no request. */
  operator?: string
}

/**
 * What was changed: the values before and after; what did not exist is left out. Fields named like personal
 * values (`username`, `email`, `fullName`, `address`, …) are kept apart, where they can be erased, as those
 * of the user that `subject` or `userId` names; fields named like secrets (`password`, `token`, …) are left
 * out.
 */
export interface Change {
  actor: Actor
  /** `system`, or a mandate's id. */
  mandateId: string
  /** Such as `user_created`. */
  action: string
  /** What it was done to, such as `user:<id>`. */
  subject: string
  before?: object
  after?: object
}

/** Whoever sent this request. */
export function actorOf(req: Request): Actor {
  return { userId: req.principal?.user.id ?? null, requestId: req.id, address: req.clientAddress }
}

/** Writes the event of a change in the change's own transaction: both are made, or neither. */
export async function recordChange(tx: Tx, change: Change): Promise<void> {
  await recordChanges(tx, [change])
}

/** Writes the events of several changes in one statement. */
export async function recordChanges(tx: Tx, changes: Change[]): Promise<void> {
  await insertAuditEvents(
    tx,
    changes.map(({ actor, mandateId, action, subject, before, after }) => {
      const from =
        actor.operator === undefined
          ? { address: actor.address }
          : { via: 'command line', operator: actor.operator }
      const details = { subject, ...from, ...(before ? { before } : {}), ...(after ? { after } : {}) }
      return dated({ userId: actor.userId, mandateId, action, details, requestId: actor.requestId })
    }),
  )
}
