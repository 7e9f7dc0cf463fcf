import { randomUUID } from 'node:crypto'

/** An action that is recorded. */
export interface AuditEvent {
  userId: string | null
  /** `system`, or a mandate's id. */
  mandateId: string
  action: string
  /**
   * Anything that JSON can hold. Fields named like personal values are stored apart, and fields named like
   * secrets are left out.
   */
  details: object
  requestId: string | null
}

/**
 * An event with an id and the moment at which it happened. It is stored once, however often it is written.
 */
export interface DatedAuditEvent extends AuditEvent {
  id: string
  occurredAt: Date
}

/** Returns the event with a new id and the current time. */
export const dated = (event: AuditEvent): DatedAuditEvent => ({
  ...event,
  id: randomUUID(),
  occurredAt: new Date(),
})
