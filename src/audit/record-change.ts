import type { Tx } from '../database/connect.js'
import { insertAuditEvents } from './audit-queries.js'
import { dated } from './event.js'

/** The user who acted, and the request or command. */
export interface Actor {
  userId: string | null
  requestId: string
  address?: string
  /** The operating system's user name, for an act on the command line. */
  operator?: string
}

/**
 * A change, with the values before and after; undefined for what did not exist. Fields named like personal
 * values (`username`, `email`, `fullName`, `address`, …) are stored apart, as those of the user that
 * `subject` or `userId` names, so that they can be erased. Fields named like secrets (`password`, `token`, …)
 * are left out.
 */
export interface Change {
  actor: Actor
  /** `system`, or a mandate's id. */
  mandateId: string
  /** The action, such as `user_created`. */
  action: string
  /** The object, such as `user:<id>`. */
  subject: string
  before?: object
  after?: object
}

/** The fields of a request that say who acts. */
export interface ActingRequest {
  state: { id: string; clientAddress: string; principal: { user: { id: string } } | undefined }
}

/** Returns the actor of a request. */
export function actorOf({ state: { id, clientAddress, principal } }: ActingRequest): Actor {
  return { userId: principal?.user.id ?? null, requestId: id, address: clientAddress }
}

/** Inserts the event of a change in the change's own transaction: both take effect, or neither. */
export async function recordChange(tx: Tx, change: Change): Promise<void> {
  await recordChanges(tx, [change])
}

/** Inserts the events of several changes in one statement. */
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
