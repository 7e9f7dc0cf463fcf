import { LineChart } from '../charts/line-chart'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import type { Activity } from './audit-source'

const day = 24 * 60 * 60
/** Draws how many events there were, and how many of them were refusals. */
export function AuditChart({ activity }: { activity: Activity | undefined }) {
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
