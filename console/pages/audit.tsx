import { Button, Group, Text } from '@mantine/core'
import { keepPreviousData, useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api } from '../api/client'
import type { Realm } from '../api/realms'
import { useSession } from '../app/session'
import { Breakable } from '../parts/breakable'
import { FaultNote } from '../parts/fault'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { notifyDone } from '../parts/receipts'
import { useFormat } from '../texts/format'
import { useActionName, useText } from '../texts/language'
import { ChainBadge } from './audit-chain'
import { AuditChart } from './audit-chart'
import { aboutOf, EventDetails } from './audit-event'
import { AuditFilters } from './audit-filters'
import {
  asField,
  exportEvents,
  listEvents,
  loadActivity,
  queryOf,
  ranges,
  saveAs,
  spanOf,
  type AuditEvent,
  type Filters,
} from './audit-source'

/** Returns a function that names a mandate; one beyond the first 200 by the start of its id. */
function useMandateNames(realm: Realm): (id: string | null) => string {
  const say = useText()
  const { data = [] } = useQuery({
    queryKey: ['mandates', 'choice'],
    enabled: realm === 'platform',
    queryFn: async () =>
      (await answerOf(api.GET('/admin/mandates', { params: { query: { limit: '200' } } }))).items,
  })
  return (id) =>
    id === 'system' || id === null
      ? say('audit.platform')
      : (data.find((one) => one.id === id)?.label ?? id.slice(0, 8))
}

function AuditOf({ realm }: { realm: Realm }) {
  const say = useText()
  const nameOfAction = useActionName()
  const { dateTime, date, time } = useFormat()
  const { mandateId } = useSession()
  const nameOfMandate = useMandateNames(realm)
  const [filters, setFilters] = useState<Filters>(() => ({
    range: 'day',
    askedAt: Date.now(),
    from: asField(Date.now() - ranges.day),
    to: asField(Date.now()),
    user: null,
    mandate: null,
    action: null,
    requestId: null,
  }))
  const set = (change: Partial<Filters>) => setFilters((before) => ({ ...before, ...change }))
  const span = spanOf(filters)
  const query = queryOf(filters, span ?? { from: '' })
  const key = [realm, realm === 'mandate' ? mandateId : '', 'audit', query]
  const { data: activity, error } = useQuery({
    queryKey: [...key, 'activity'],
    enabled: span !== undefined && filters.requestId === null,
    placeholderData: keepPreviousData,
    queryFn: () => loadActivity(realm, query),
  })
  const download = useMutation({
    mutationFn: async () => {
      saveAs(`audit-${new Date().toISOString().slice(0, 10)}.jsonl`, await exportEvents(realm, query))
      notifyDone(say('audit.exported'))
    },
  })
  return (
    <>
      <PageHead
        title={say('audit')}
        hint={say('audit.hint')}
        actions={
          <Group gap="xs">
            {realm === 'platform' && <ChainBadge />}
            <Button
              variant="default"
              title={say('audit.export.hint')}
              leftSection={<Icon name="download" size={14} />}
              disabled={!span}
              loading={download.isPending}
              onClick={() => download.mutate()}
            >
              {say('audit.export')}
            </Button>
          </Group>
        }
      />
      {download.isError && <FaultNote error={download.error} />}
      <AuditFilters realm={realm} filters={filters} set={set} actions={activity?.actions ?? []} />
      {error && <FaultNote error={error} />}
      {span === undefined ? (
        <Text c="red" size="sm" role="alert">
          {say('audit.range.bad')}
        </Text>
      ) : (
        <>
          {filters.requestId === null && (
            <div className="charts audit-chart">
              <AuditChart activity={activity} />
            </div>
          )}
          <List<AuditEvent>
            label={say('audit')}
            queryKey={key}
            idOf={(event) => event.id}
            nameOf={(event) => `${nameOfAction(event.action)}, ${time(event.occurredAt)}`}
            load={(page) => listEvents(realm, query, page)}
            empty={{ icon: 'list', title: say('audit.empty'), hint: say('audit.empty.hint') }}
            isFiltered={[filters.user, filters.mandate, filters.action, filters.requestId].some(
              (one) => one !== null,
            )}
            detailsOf={(event) => (
              <EventDetails event={event} realm={realm} onRequest={(requestId) => set({ requestId })} />
            )}
            columns={[
              {
                key: 'time',
                title: say('audit.time'),
                show: (event) => (
                  <span className="nowrap number" title={dateTime(event.occurredAt)}>
                    {time(event.occurredAt)}
                    <span className="sub">{date(event.occurredAt)}</span>
                  </span>
                ),
              },
              {
                key: 'action',
                title: say('audit.action'),
                show: (event) => (
                  <>
                    {nameOfAction(event.action)}
                    <span className="sub narrow-block">{event.username}</span>
                  </>
                ),
              },
              {
                key: 'who',
                title: say('audit.who'),
                isSecondary: true,
                show: (event) =>
                  event.username ?? (
                    <span className="soft">{say(event.userId === null ? 'audit.nobody' : 'audit.gone')}</span>
                  ),
              },
              ...(realm === 'platform'
                ? [
                    {
                      key: 'where',
                      title: say('audit.where'),
                      isSecondary: true,
                      show: (event: AuditEvent) => nameOfMandate(event.mandateId),
                    },
                  ]
                : []),
              {
                key: 'about',
                title: say('audit.what'),
                show: (event) => (
                  <span className="mono">
                    <Breakable text={aboutOf(event)} />
                  </span>
                ),
              },
            ]}
          />
        </>
      )}
    </>
  )
}

export const Audit = () => <AuditOf realm="mandate" />
export const AuditEverywhere = () => <AuditOf realm="platform" />
