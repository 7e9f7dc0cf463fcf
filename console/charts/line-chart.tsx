import { useId, useState, type PointerEvent } from 'react'

export interface Point {
  /** Milliseconds since 1970. */
  at: number
  value: number
}

export interface Series {
  name: string
  kind: 'main' | 'bad'
  points: Point[]
}

interface Props {
  title: string
  series: Series[]
  /** Returns a value as text. */
  format: (value: number) => string
  formatTime: (at: number) => string
  empty: string
  /** A summary for screen readers. */
  summary: string
  /** The value in the legend at rest: the latest one, or the sum of all. */
  resting?: 'latest' | 'sum'
}

const [width, height, top, bottom] = [600, 150, 8, 4]

/** Returns a round number above the largest value. */
function niceBound(largest: number): number {
  if (largest <= 0) return 1
  const power = 10 ** Math.floor(Math.log10(largest))
  return ([1, 2, 2.5, 5, 10].find((step) => step * power >= largest) ?? 10) * power
}

const sumOf = ({ points }: Series) => points.reduce((sum, { value }) => sum + value, 0)

/** A chart of values over time, with the values at the pointer. */
export function LineChart({ title, series, format, formatTime, empty, summary, resting = 'latest' }: Props) {
  const [pointed, setPointed] = useState<number>()
  const gradient = useId()
  const times = series[0]?.points.map((point) => point.at) ?? []
  const [first = 0, last = 0] = [times[0], times.at(-1)]
  const bound = niceBound(Math.max(0, ...series.flatMap((one) => one.points.map((point) => point.value))))
  const x = (at: number) => (last === first ? width : ((at - first) / (last - first)) * width)
  const y = (value: number) => top + (1 - value / bound) * (height - top - bottom)
  const pathOf = ({ points }: Series) =>
    points
      .map(
        (point, index) => `${index === 0 ? 'M' : 'L'}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`,
      )
      .join(' ')
  const point = (event: PointerEvent<SVGSVGElement>) => {
    const { left, width: shown } = event.currentTarget.getBoundingClientRect()
    setPointed(Math.round(((event.clientX - left) / shown) * (times.length - 1)))
  }
  const index = pointed === undefined ? times.length - 1 : Math.min(Math.max(pointed, 0), times.length - 1)
  const at = times[index]
  return (
    <figure className="card chart">
      <figcaption>
        <span>{title}</span>
        <span className="chart-now number">
          {at !== undefined &&
            series.map((one) => (
              <b key={one.name} className={one.kind}>
                {format(
                  resting === 'sum' && pointed === undefined ? sumOf(one) : (one.points[index]?.value ?? 0),
                )}
                {series.length > 1 && <i>{one.name}</i>}
              </b>
            ))}
        </span>
      </figcaption>
      {times.length < 2 ? (
        <div className="chart-empty">{empty}</div>
      ) : (
        <div className="chart-plot">
          <span className="chart-bound number">{format(bound)}</span>
          <svg
            viewBox={`0 0 ${width} ${height}`}
            preserveAspectRatio="none"
            role="img"
            aria-label={summary}
            onPointerMove={point}
            onPointerLeave={() => setPointed(undefined)}
          >
            <defs>
              <linearGradient id={gradient} x1="0" x2="0" y1="0" y2="1">
                <stop offset="0" className="chart-fill" />
                <stop offset="1" className="chart-fill-end" />
              </linearGradient>
            </defs>
            {[0, 0.5, 1].map((share) => (
              <line
                key={share}
                x1={0}
                x2={width}
                y1={y(bound * share)}
                y2={y(bound * share)}
                className="chart-grid"
              />
            ))}
            {series.map((one) => (
              <g key={one.name} className={one.kind}>
                {one.kind === 'main' && (
                  <path d={`${pathOf(one)} L${width} ${y(0)} L0 ${y(0)} Z`} fill={`url(#${gradient})`} />
                )}
                <path d={pathOf(one)} className="chart-line" />
              </g>
            ))}
            {pointed !== undefined && at !== undefined && (
              <line x1={x(at)} x2={x(at)} y1={0} y2={height} className="chart-pointer" />
            )}
          </svg>
          <div className="chart-times number">
            <span>{formatTime(first)}</span>
            <span>{at !== undefined && pointed !== undefined ? formatTime(at) : ''}</span>
            <span>{formatTime(last)}</span>
          </div>
        </div>
      )}
    </figure>
  )
}
