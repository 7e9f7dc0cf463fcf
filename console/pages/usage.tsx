import { Select } from '@mantine/core'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import { LineChart } from '../charts/line-chart'
import { DownloadMenu } from '../parts/download-menu'
import { FaultNote } from '../parts/fault'
import { Figure } from '../parts/figure'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { MandateSelect } from './mandate-select'

type DayOfUse = components['schemas']['DayOfUse']
type Day = components['schemas']['DayOfAll']

const spans = ['7', '30', '90', '365'] as const
const dayMs = 86_400_000
/** Returns the day `count` days ago (UTC). */
const daysAgo = (count: number) => new Date(Date.now() - count * dayMs).toISOString().slice(0, 10)

function Totals({ days }: { days: Day[] | undefined }) {
  const say = useText()
  const { number, percent, date } = useFormat()
  const sum = (valueOf: (day: Day) => number) => (days ?? []).reduce((total, day) => total + valueOf(day), 0)
  const [requests, denials] = [sum((day) => day.requests), sum((day) => day.denials)]
  const busiest = (days ?? []).reduce<Day | undefined>(
    (most, day) => (day.requests > (most?.requests ?? 0) ? day : most),
    undefined,
  )
  const shown = (text: string) => (days ? text : '–')
  return (
    <div className="figures">
      <Figure label={say('usage.requests')} value={shown(number(requests))} />
      <Figure label={say('usage.denials')} value={shown(number(denials))} />
      <Figure label={say('usage.share')} value={shown(requests > 0 ? percent(denials / requests) : '–')} />
      <Figure label={say('usage.busiest')} value={busiest ? date(busiest.day) : '–'} />
    </div>
  )
}

function Days({ days }: { days: Day[] }) {
  const say = useText()
  const { number, dayOf } = useFormat()
  const points = (valueOf: (day: Day) => number) =>
    days.map((day) => ({ at: Date.parse(day.day), value: valueOf(day) }))
  const latest = days.at(-1)
  return (
    <LineChart
      title={say('usage.byDay')}
      format={number}
      formatTime={dayOf}
      empty={say('usage.empty')}
      summary={say('usage.summary', {
        requests: latest?.requests ?? 0,
        denials: latest?.denials ?? 0,
      })}
      series={[
        { name: say('usage.requests.short'), kind: 'main', points: points((day) => day.requests) },
        { name: say('usage.denials.short'), kind: 'bad', points: points((day) => day.denials) },
      ]}
    />
  )
}

/** The use of mandates, day by day. */
export function Usage() {
  const say = useText()
  const { number, date } = useFormat()
  const [mandateId, setMandate] = useState<string | null>(null)
  const [span, setSpan] = useState<string>('30')
  const query = { from: daysAgo(Number(span) - 1), ...(mandateId ? { mandateId } : {}) }
  const { data, error, refetch } = useQuery({
    queryKey: ['usage', 'days', query],
    placeholderData: keepPreviousData,
    refetchInterval: 30_000,
    queryFn: async () => (await answerOf(api.GET('/admin/usage/days', { params: { query } }))).items,
  })
  return (
    <>
      <PageHead
        title={say('usage')}
        hint={say('usage.hint')}
        actions={<DownloadMenu path="/admin/usage" query={query} name={`usage-${query.from}`} />}
      />
      <div className="tool-bar" role="search">
        <MandateSelect value={mandateId} onChange={setMandate} />
        <Select
          aria-label={say('usage.span')}
          allowDeselect={false}
          w={{ base: '100%', xs: 180 }}
          data={spans.map((value) => ({ value, label: say('usage.days', { count: Number(value) }) }))}
          value={span}
          onChange={(value) => setSpan(value ?? '30')}
        />
      </div>
      {error ? (
        <FaultNote error={error} title={say('fault.load')} onRetry={() => void refetch()} />
      ) : (
        <Totals days={data} />
      )}
      <div className="chart-place">{data && <Days days={data} />}</div>
      <h2 className="section">{say('usage.byMandate')}</h2>
      <List<DayOfUse>
        label={say('usage.byMandate')}
        queryKey={['usage', 'rows', query]}
        idOf={(one) => `${one.day} ${one.mandateId}`}
        nameOf={(one) => one.slug ?? one.mandateId}
        load={({ limit, cursor }) =>
          answerOf(
            api.GET('/admin/usage', {
              params: { query: { ...query, limit, ...(cursor ? { cursor } : {}) } },
            }),
          )
        }
        empty={{ icon: 'gauge', title: say('usage.empty'), hint: say('usage.empty.hint') }}
        columns={[
          {
            key: 'day',
            title: say('usage.day'),
            sortBy: (one) => one.day,
            show: (one) => <span className="nowrap">{date(one.day)}</span>,
          },
          {
            key: 'mandate',
            title: say('mandate'),
            sortBy: (one) => one.slug,
            show: (one) => <span className="mono break">{one.slug ?? say('usage.gone')}</span>,
          },
          {
            key: 'requests',
            title: say('usage.requests.short'),
            isNumber: true,
            sortBy: (one) => one.requests,
            show: (one) => number(one.requests),
          },
          {
            key: 'denials',
            title: say('usage.denials.short'),
            isNumber: true,
            sortBy: (one) => one.denials,
            show: (one) => number(one.denials),
          },
        ]}
      />
    </>
  )
}
