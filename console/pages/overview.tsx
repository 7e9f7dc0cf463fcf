import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { answerOf, api } from '../api/client'
import { bucketsOf, loadMetrics, quantile, sumOf, type Sample } from '../api/metrics'
import { LineChart, type Point } from '../charts/line-chart'
import { FaultNote } from '../parts/fault'
import { Figure } from '../parts/figure'
import { PageHead } from '../parts/page-head'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

const everyMs = 2000
/** Five minutes. */
const keptLooks = 150

interface Look {
  at: number
  samples: Sample[]
}

/** Returns the samples of the metrics since the page was opened. */
function useLooks() {
  const [looks, setLooks] = useState<Look[]>([])
  const { data, error, dataUpdatedAt } = useQuery({
    queryKey: ['metrics'],
    queryFn: loadMetrics,
    refetchInterval: everyMs,
    staleTime: 0,
    structuralSharing: false,
  })
  useEffect(() => {
    if (data) setLooks((before) => [...before.slice(1 - keptLooks), { at: dataUpdatedAt, samples: data }])
  }, [data, dataUpdatedAt])
  return { looks, error }
}

/** Returns the rate per second between samples. A restarted node counts from zero. */
function rates(looks: Look[], countOf: (samples: Sample[]) => number): Point[] {
  return looks.slice(1).map(({ at, samples }, index) => {
    const before = looks[index]
    const grown = before ? countOf(samples) - countOf(before.samples) : 0
    return { at, value: before && grown > 0 ? grown / ((at - before.at) / 1000) : 0 }
  })
}

const grants = (samples: Sample[]) =>
  sumOf(samples, 'gateway_decisions_total', ({ decision }) => decision === 'granted')
const refusals = (samples: Sample[]) =>
  sumOf(samples, 'gateway_decisions_total', ({ decision }) => decision !== 'granted')

function latencies(looks: Look[]): Point[] {
  let last = 0
  return looks.slice(1).map(({ at, samples }, index) => {
    const before = looks[index]
    const seconds =
      before &&
      quantile(
        bucketsOf(before.samples, 'gateway_request_duration_seconds'),
        bucketsOf(samples, 'gateway_request_duration_seconds'),
        0.99,
      )
    last = seconds === undefined ? last : seconds * 1000
    return { at, value: last }
  })
}

const gauges = (looks: Look[], name: string): Point[] =>
  looks.map(({ at, samples }) => ({ at, value: sumOf(samples, name) }))

function Charts({ looks }: { looks: Look[] }) {
  const say = useText()
  const { number, ms, time } = useFormat()
  const shared = { formatTime: time, empty: say('overview.collecting') }
  const charts = [
    {
      title: say('overview.decisions'),
      format: number,
      series: [
        { name: say('overview.granted'), kind: 'main' as const, points: rates(looks, grants) },
        { name: say('overview.refused'), kind: 'bad' as const, points: rates(looks, refusals) },
      ],
    },
    {
      title: say('overview.latency'),
      format: ms,
      series: [{ name: '', kind: 'main' as const, points: latencies(looks) }],
    },
    {
      title: say('overview.streams'),
      format: number,
      series: [{ name: '', kind: 'main' as const, points: gauges(looks, 'gateway_open_streams') }],
    },
    {
      title: say('overview.lag'),
      format: number,
      series: [{ name: '', kind: 'main' as const, points: gauges(looks, 'gateway_epoch_lag_changes') }],
    },
  ]
  return (
    <div className="charts">
      {charts.map((chart) => (
        <LineChart
          key={chart.title}
          {...shared}
          {...chart}
          summary={say('overview.latest', {
            title: chart.title,
            value: chart.format(chart.series[0]?.points.at(-1)?.value ?? 0),
          })}
        />
      ))}
    </div>
  )
}

/** The live metrics of the gateway. */
export function Overview() {
  const say = useText()
  const { number, ms, percent } = useFormat()
  const { looks, error } = useLooks()
  const { data: nodes } = useQuery({
    queryKey: ['nodes', 'overview'],
    queryFn: () => answerOf(api.GET('/system/nodes')),
    refetchInterval: everyMs,
  })
  const now = looks.at(-1)?.samples
  const lag = nodes?.items.reduce((most, one) => Math.max(most, one.lag), 0) ?? 0
  const hits = now ? sumOf(now, 'gateway_memory_hits_total') : 0
  const asked = now ? hits + sumOf(now, 'gateway_memory_misses_total') : 0
  return (
    <>
      <PageHead title={say('overview')} hint={say('overview.hint')} />
      {error && <FaultNote error={error} />}
      <div className="figures">
        <Figure label={say('overview.nodes')} value={nodes ? number(nodes.items.length) : '–'} />
        <Figure label={say('overview.nodeLag')} value={nodes ? number(lag) : '–'} />
        <Figure
          label={say('overview.lease')}
          value={now ? ms(Math.round(sumOf(now, 'gateway_lease_remaining_seconds') * 1000)) : '–'}
        />
        <Figure label={say('overview.memory')} value={asked > 0 ? percent(hits / asked) : '–'} />
      </div>
      <Charts looks={looks} />
    </>
  )
}
