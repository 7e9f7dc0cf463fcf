import { Badge } from '@mantine/core'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { State } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type Node = components['schemas']['GatewayNode']

/** The processes that share this database, live. */
export function Nodes() {
  const say = useText()
  const { ago, ms, dateTime } = useFormat()
  return (
    <>
      <PageHead title={say('nodes')} hint={say('nodes.hint')} />
      <List<Node>
        label={say('nodes')}
        queryKey={['nodes']}
        refetchMs={2000}
        idOf={(node) => node.id}
        nameOf={(node) => node.address ?? node.id}
        load={async () => ({ ...(await answerOf(api.GET('/system/nodes'))), nextCursor: null })}
        empty={{ icon: 'server', title: say('nodes.empty'), hint: say('nodes.empty.hint') }}
        columns={[
          {
            key: 'address',
            title: say('node.address'),
            sortBy: (node) => node.address,
            show: (node) => (
              <>
                <span className="mono">{node.address ?? '–'}</span>{' '}
                {node.current && <Badge ml={6}>{say('node.this')}</Badge>}
              </>
            ),
          },
          {
            key: 'process',
            title: say('node.process'),
            isNumber: true,
            isSecondary: true,
            sortBy: (node) => node.processId,
            show: (node) => node.processId,
          },
          {
            key: 'lease',
            title: say('node.lease'),
            isNumber: true,
            isSecondary: true,
            sortBy: (node) => node.leaseMs,
            show: (node) => ms(node.leaseMs),
          },
          {
            key: 'renewed',
            title: say('node.renewed'),
            sortBy: (node) => node.renewedAt,
            show: (node) => <span className="nowrap">{ago(node.renewedAt)}</span>,
          },
          {
            key: 'lag',
            title: say('node.lag'),
            sortBy: (node) => node.lag,
            show: (node) => (
              <State kind={node.lag === 0 ? 'good' : 'warn'}>
                {say('node.changes', { count: node.lag })}
              </State>
            ),
          },
          {
            key: 'started',
            title: say('node.started'),
            isSecondary: true,
            sortBy: (node) => node.startedAt,
            show: (node) => dateTime(node.startedAt),
          },
        ]}
      />
    </>
  )
}
