import type { ListedEvent } from './event-queries.js'

/**
 * What platform admins govern in every mandate themselves: changes of it tell them nothing that they may not
 * see.
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
])

const isGoverned = (subject: unknown) =>
  typeof subject === 'string' && governed.has(subject.split(':', 1)[0] ?? '')

/**
 * An event as platform admins see it, to whom their flag gives no mandate's data: that something else of a
 * mandate (a project, a link) was changed, when and by whom, but not what it was before and after.
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
