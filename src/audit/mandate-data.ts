import type { ListedEvent } from './event-queries.js'

/**
 * Actions whose changes platform admins may read in every mandate, because they make such changes themselves.
 */
const governed = new Set([
  'user',
  'mandate',
  'member',
  'membership',
  'role',
  'rule',
  'feature',
  'instance',
  'access',
  'service-account',
  'session',
  'token',
  'subscription',
  'invitation',
  'message',
])

const isGoverned = (subject: unknown) =>
  typeof subject === 'string' && governed.has(subject.split(':', 1)[0] ?? '')

/**
 * Returns an event as platform admins see it. Their level does not give them a mandate's data. So they see
 * that something else of a mandate (a project, a link) changed, when and by whom, but not its values.
 */
export function withoutMandateData(event: ListedEvent): ListedEvent {
  const { before, after, ...details } = event.details
  if (
    event.mandateId === 'system' ||
    event.mandateId === null ||
    (before === undefined && after === undefined) ||
    isGoverned(details.subject)
  )
    return event
  return { ...event, details: { ...details, withheld: 'what a mandate has of its own is for its admins' } }
}
