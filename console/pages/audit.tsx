import { Button, Group, Select, Text, TextInput } from '@mantine/core'
import { keepPreviousData, useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api } from '../api/client'
import type { Realm } from '../api/realms'
import { useSession } from '../app/session'
import { LineChart } from '../charts/line-chart'
import { Breakable } from '../parts/breakable'
import { FaultNote } from '../parts/fault'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { tellDone } from '../parts/receipts'
import { useFormat } from '../texts/format'
import { useActionName, useText } from '../texts/language'
import { ChainBadge } from './audit-chain'
import { aboutOf, EventDetails } from './audit-event'
import {
  asField,
  exportEvents,
  listEvents,
  loadActivity,
  queryOf,
  rangeNames,
  ranges,
  saveAs,
  spanOf,
  type AuditEvent,
  type Filters,
  type Range,
} from './audit-source'
import { MandateChoice, PersonChoice } from './choices'

const day = 24 * 60 * 60
type Activity = Awaited<ReturnType<typeof loadActivity>>

function Chart({ activity }: { activity: Activity | undefined }) {
  const say = useText()
  const { number, date, dateTime } = useFormat()
  const steps = activity?.steps ?? []
  const pointsOf = (field: 'count' | 'refused') =>
    steps.map((step) => ({ at: Date.parse(step.at), value: step[field] }))
  const sumOf = (field: 'count' | 'refused') => steps.reduce((sum, step) => sum + step[field], 0)
  return (
    <LineChart
      title={say('audit.chart')}
      format={number}
      resting="sum"
      empty={say(activity ? 'audit.chart.empty' : 'list.loading')}
      formatTime={(at) => {
        const time = new Date(at).toISOString()
        return (activity?.stepSeconds ?? 0) < day ? dateTime(time) : date(time)
      }}
      series={[
        { name: say('audit.chart.all'), kind: 'main', points: pointsOf('count') },
        { name: say('audit.chart.refused'), kind: 'bad', points: pointsOf('refused') },
      ]}
      summary={say('audit.chart.summary', { count: sumOf('count'), refused: sumOf('refused') })}
    />
  )
}

interface BarProps {
  realm: Realm
  filters: Filters
  set: (change: Partial<Filters>) => void
  actions: Activity['actions']
}

function FilterBar({ realm, filters, set, actions }: BarProps) {
  const say = useText()
  const nameOfAction = useActionName()
  const { range, from, to, user, mandate, action, requestId } = filters
  const choices = actions.map((one) => ({
    value: one.action,
    label: say('audit.action.count', { action: nameOfAction(one.action), count: one.count }),
  }))
  const known =
    action !== null && !choices.some((one) => one.value === action)
      ? [{ value: action, label: nameOfAction(action) }]
      : []
  return (
    <div className="tool-bar" role="search" aria-label={say('audit')}>
      <Select<Range>
        aria-label={say('audit.range')}
        allowDeselect={false}
        w={170}
        value={range}
        onChange={(value) => set({ range: value ?? 'day', askedAt: Date.now() })}
        data={rangeNames.map((one) => ({ value: one, label: say(`audit.range.${one}`) }))}
      />
      {range === 'own' && (
        <>
          <TextInput
            type="datetime-local"
            aria-label={say('audit.from')}
            value={from}
            onChange={(event) => set({ from: event.currentTarget.value })}
          />
          <TextInput
            type="datetime-local"
            aria-label={say('audit.to')}
            value={to}
            onChange={(event) => set({ to: event.currentTarget.value })}
          />
        </>
      )}
      <PersonChoice
        realm={realm}
        by="id"
        isLabelHidden
        width={210}
        value={user}
        onChange={(value) => set({ user: value })}
      />
      {realm === 'platform' && (
        <MandateChoice
          system={say('audit.platform')}
          isLabelHidden
          width={190}
          value={mandate}
          onChange={(value) => set({ mandate: value })}
        />
      )}
      <Select
        aria-label={say('audit.action')}
        placeholder={say('audit.action')}
        clearable
        searchable
        w={{ base: '100%', xs: 230 }}
        value={action}
        onChange={(value) => set({ action: value })}
        data={[...known, ...choices]}
        nothingFoundMessage={say('choice.nothing')}
      />
      {requestId && (
        <Button
          variant="light"
          rightSection={<Icon name="cross" size={13} />}
          aria-label={`${say('audit.request.only')}: ${say('remove')}`}
          onClick={() => set({ requestId: null })}
        >
          {say('audit.request.only')}
        </Button>
      )}
      <Button
        variant="default"
        leftSection={<Icon name="refresh" size={14} />}
        onClick={() => set({ askedAt: Date.now() })}
      >
        {say('reload')}
      </Button>
    </div>
  )
}

/** What mandates are called, as far as there are not too many of them. */
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
      tellDone(say('audit.exported'))
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
      <FilterBar realm={realm} filters={filters} set={set} actions={activity?.actions ?? []} />
      {error && <FaultNote error={error} />}
      {span === undefined ? (
        <Text c="red" size="sm" role="alert">
          {say('audit.range.bad')}
        </Text>
      ) : (
        <>
          {filters.requestId === null && (
            <div className="charts audit-chart">
              <Chart activity={activity} />
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
