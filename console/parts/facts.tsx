import { Fragment, type ReactNode } from 'react'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { EnabledState } from './state'

interface Props {
  enabled: boolean
  createdAt: string
  id: string
  /** Facts of this kind of item alone, between its state and when it was created. */
  own?: [title: string, value: ReactNode][]
}

/** The facts of an item: its state, what is its own, when it was created, and its id. */
export function ItemFacts({ enabled, createdAt, id, own = [] }: Props) {
  const say = useText()
  const { dateTime } = useFormat()
  return (
    <div className="card padded">
      <dl className="facts">
        <dt>{say('state')}</dt>
        <dd>
          <EnabledState enabled={enabled} />
        </dd>
        {own.map(([title, value]) => (
          <Fragment key={title}>
            <dt>{title}</dt>
            <dd>{value}</dd>
          </Fragment>
        ))}
        <dt>{say('user.created')}</dt>
        <dd>{dateTime(createdAt)}</dd>
        <dt>{say('id')}</dt>
        <dd className="mono">{id}</dd>
      </dl>
    </div>
  )
}
