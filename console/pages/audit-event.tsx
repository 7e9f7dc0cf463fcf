import { Button, Group } from '@mantine/core'
import { Link } from 'wouter'
import type { Realm } from '../api/realms'
import { useSession } from '../app/session'
import { Code } from '../parts/code'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import type { AuditEvent } from './audit-source'

const explainedForMs = 60 * 60 * 1000
const asRecord = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
const asText = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)
const asJson = (value: unknown) => JSON.stringify(value, null, 2)

/** Returns the subject of an event: the changed item, or the request. */
export function aboutOf({ details }: AuditEvent): string {
  const { subject, method, route, path, before, after, detail } = details
  const where = asText(route) ?? asText(path)
  const known = { ...asRecord(before), ...asRecord(after) }
  const name = ['label', 'name', 'username', 'slug', 'title']
    .map((field) => asText(known[field]))
    .find((one) => one !== undefined)
  if (typeof subject === 'string') {
    const [kind = '', ...id] = subject.split(':')
    return `${kind} ${name ?? id.join(':').replace(/^([0-9a-f]{8})-[0-9a-f-]{27}$/, '$1')}`
  }
  if (typeof method === 'string') return `${method} ${where ?? ''}`
  return asText(detail) ?? name ?? ''
}

/** The details of an audit event. */
export function EventDetails({
  event,
  realm,
  onRequest,
}: {
  event: AuditEvent
  realm: Realm
  onRequest: (requestId: string) => void
}) {
  const say = useText()
  const { dateTime } = useFormat()
  const { permissions } = useSession()
  const {
    id,
    userId,
    requestId,
    position,
    erased,
    occurredAt,
    action,
    details: { before, after, withheld, ...rest },
  } = event
  const mayExplain = realm === 'platform' || (permissions?.['gateway.roles']?.read ?? 'n') !== 'n'
  const isExplained =
    requestId !== null &&
    mayExplain &&
    action === 'access_denied' &&
    Date.now() - Date.parse(occurredAt) < explainedForMs
  return (
    <>
      <dl className="facts">
        <dt>{say('audit.time')}</dt>
        <dd>{dateTime(occurredAt)}</dd>
        <dt>{say('audit.action')}</dt>
        <dd className="mono">{action}</dd>
        {userId && (
          <>
            <dt>{say('audit.who')}</dt>
            <dd>
              {event.username ?? say('audit.gone')} <span className="mono soft">{userId}</span>
            </dd>
          </>
        )}
        <dt>{say('audit.seal')}</dt>
        <dd>
          {position === null ? say('audit.seal.pending') : say('audit.seal.at', { position })}{' '}
          <span className="mono soft">{id}</span>
        </dd>
        {requestId && (
          <>
            <dt>{say('audit.request')}</dt>
            <dd>
              <span className="mono">{requestId}</span>
            </dd>
          </>
        )}
        {erased.length > 0 && (
          <>
            <dt>{say('audit.erased')}</dt>
            <dd className="mono">{erased.join(', ')}</dd>
          </>
        )}
      </dl>
      {requestId && (
        <Group gap="xs" mt={8}>
          <Button size="xs" variant="default" onClick={() => onRequest(requestId)}>
            {say('audit.request.all')}
          </Button>
          {isExplained && (
            <Button
              size="xs"
              variant="default"
              component={Link}
              href={`${realm === 'platform' ? '/all-explain' : '/explain'}?request=${encodeURIComponent(requestId)}`}
            >
              {say('explain.why')}
            </Button>
          )}
        </Group>
      )}
      {withheld !== undefined && <p className="soft">{say('audit.withheld')}</p>}
      {(before !== undefined || after !== undefined) && (
        <div className="shift">
          {before !== undefined && (
            <div>
              <h3>{say('audit.before')}</h3>
              <Code text={asJson(before)} />
            </div>
          )}
          {after !== undefined && (
            <div>
              <h3>{say('audit.after')}</h3>
              <Code text={asJson(after)} />
            </div>
          )}
        </div>
      )}
      {Object.keys(rest).length > 0 && (
        <div className="shift">
          <div>
            <h3>{say('audit.details')}</h3>
            <Code text={asJson(rest)} />
          </div>
        </div>
      )}
    </>
  )
}
