import { randomUUID } from 'node:crypto'

/** Something that somebody did, to be remembered. */
export interface AuditEvent {
  userId: string | null
  /** `system`, or a mandate's id. */
  mandateId: string
  action: string
  /**
   * Anything that JSON can say. What it says about persons is kept apart, and what is secret left out, by the
   * names of fields.
   */
  details: object
  requestId: string | null
}

/**
 * An event with the moment it happened, which is not the moment it is written, and with an id: however often
 * it is written, it is there once.
 */
export interface DatedAuditEvent extends AuditEvent {
  id: string
  occurredAt: Date
}

/** Gives an event its id and its moment. */
export const dated = (event: AuditEvent): DatedAuditEvent => ({
  ...event,
  id: randomUUID(),
  occurredAt: new Date(),
})
