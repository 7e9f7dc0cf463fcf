import { useQuery } from '@tanstack/react-query'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import { Breakable } from '../parts/breakable'
import { blocking, FaultNote } from '../parts/fault'
import { Figure } from '../parts/figure'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { State } from '../parts/state'
import { Waiting } from '../parts/waiting'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type Database = components['schemas']['DatabaseState']

function Details({ state }: { state: Database }) {
  const say = useText()
  const { ms, size, number, seconds, dateTime } = useFormat()
  return (
    <>
      <div className="figures">
        <Figure label={say('database.answered')} value={ms(state.answeredInMs)} />
        <Figure label={say('database.size')} value={size(state.bytes)} />
        <Figure
          label={say('database.connections')}
          value={say('database.connections.of', {
            open: state.connections.open,
            most: state.connections.most,
          })}
        />
        <Figure label={say('database.pending')} value={number(state.pendingChanges)} />
      </div>
      <div className="card padded">
        <dl className="facts">
          <dt>{say('database.version')}</dt>
          <dd>{state.version}</dd>
          <dt>{say('database.pool')}</dt>
          <dd>{say('database.pool.of', { ...state.pool })}</dd>
          <dt>{say('database.oldest')}</dt>
          <dd>
            {state.oldestTransactionSeconds === null ? say('none') : seconds(state.oldestTransactionSeconds)}
          </dd>
        </dl>
      </div>
      <h2 className="section">{say('database.tables')}</h2>
      <List<Database['tables'][number]>
        label={say('database.tables')}
        queryKey={['database', 'tables']}
        idOf={(one) => one.name}
        nameOf={(one) => one.name}
        search={(one) => one.name}
        load={state.tables}
        empty={{ icon: 'database', title: say('database.empty') }}
        columns={[
          {
            key: 'name',
            title: say('database.table'),
            sortBy: (one) => one.name,
            show: (one) => (
              <span className="mono">
                <Breakable text={one.name} />
              </span>
            ),
          },
          {
            key: 'rows',
            title: say('database.rows'),
            isNumber: true,
            sortBy: (one) => one.rows,
            show: (one) => number(one.rows),
          },
          {
            key: 'bytes',
            title: say('database.size'),
            isNumber: true,
            sortBy: (one) => one.bytes,
            show: (one) => size(one.bytes),
          },
        ]}
      />
      <h2 className="section">{say('database.migrations')}</h2>
      <List<Database['migrations'][number]>
        label={say('database.migrations')}
        queryKey={['database', 'migrations']}
        idOf={(one) => one.name}
        nameOf={(one) => one.name}
        load={state.migrations}
        empty={{ icon: 'database', title: say('database.empty') }}
        columns={[
          {
            key: 'name',
            title: say('database.migration'),
            sortBy: (one) => one.name,
            show: (one) => (
              <span className="mono">
                <Breakable text={one.name} />
              </span>
            ),
          },
          {
            key: 'applied',
            title: say('database.applied'),
            sortBy: (one) => one.appliedAt,
            show: (one) =>
              one.appliedAt ? (
                dateTime(one.appliedAt)
              ) : (
                <State kind="warn">{say('database.notApplied')}</State>
              ),
          },
        ]}
      />
    </>
  )
}

/** The state of the database. */
export function DatabasePage() {
  const say = useText()
  const { data, refetch, ...query } = useQuery({
    queryKey: ['database'],
    queryFn: () => answerOf(api.GET('/system/database')),
    refetchInterval: 5000,
  })
  const error = blocking({ data, error: query.error })
  return (
    <>
      <PageHead title={say('database')} hint={say('database.hint')} />
      {error ? (
        <FaultNote error={error} onRetry={() => void refetch()} />
      ) : data ? (
        <Details state={data} />
      ) : (
        <Waiting />
      )}
    </>
  )
}
