import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

const warnAt = 0.8

/** Shows the use of a quota in words and as a bar. Null is no limit. */
export function QuotaBar({ label, used, quota }: { label: string; used: number; quota: number | null }) {
  const say = useText()
  const { number } = useFormat()
  if (quota === null)
    return (
      <span className="number" title={say('quota.none')}>
        {number(used)}
        <span className="sub">{say('quota.none')}</span>
      </span>
    )
  const share = quota === 0 ? (used > 0 ? 1 : 0) : used / quota
  const kind = share > 1 ? 'bad' : share >= warnAt ? 'warn' : 'good'
  const text = say('quota.of', { used, quota })
  return (
    <div className="quota">
      <span className="number">
        {text}
        {share > 1 && <b> {say('quota.over')}</b>}
      </span>
      <div
        className={`quota-bar ${kind}`}
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={quota}
        aria-valuenow={Math.min(used, quota)}
        aria-valuetext={text}
      >
        <div style={{ width: `${Math.min(share, 1) * 100}%` }} />
      </div>
    </div>
  )
}
