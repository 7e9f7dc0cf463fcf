import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { State } from '../parts/state'
import { useText } from '../texts/language'
import { RouteDetails } from './route-details'

type LiveRoute = components['schemas']['LiveRoute']
type Target = LiveRoute['targets'][number]

function TargetState({ target: { address, healthy, state, running } }: { target: Target }) {
  const say = useText()
  const isGood = healthy && state === 'closed'
  return (
    <div>
      <State kind={isGood ? 'good' : state === 'half-open' ? 'warn' : 'bad'}>
        {healthy ? say(`route.circuit.${state}`) : say('route.unhealthy')}
      </State>
      <span className="sub mono">{say('route.target.good', { address, running })}</span>
    </div>
  )
}

/** Marks routes that enforce nothing or pass credentials on. */
function Enforced({ route: { decide, credentials } }: { route: LiveRoute }) {
  const say = useText()
  return (
    <div>
      <State kind={decide === 'watch' ? 'bad' : 'good'}>{say(`route.decide.${decide}`)}</State>
      {credentials === 'pass' && <State kind="warn">{say('route.credentials.pass')}</State>}
    </div>
  )
}

/** The live route table, with the state of its upstreams. */
export function Routes() {
  const say = useText()
  const asksFor = ({ auth, mandate, guard, permission }: LiveRoute) =>
    [
      say(`route.auth.${auth}`),
      ...(mandate === 'required' ? [say('mandate')] : []),
      ...(guard ? [guard === 'sysAdmin' ? say('level.sysAdmin') : say('level.platformAdmin')] : []),
      ...(permission ? [`${permission.context} ${permission.item}`] : []),
    ].join(', ')
  return (
    <>
      <PageHead title={say('routes')} hint={say('routes.hint')} />
      <List<LiveRoute>
        label={say('routes')}
        queryKey={['routes']}
        refetchMs={3000}
        idOf={(route) => route.name}
        nameOf={(route) => route.name}
        search={(route) => `${route.name} ${route.upstream}`}
        detailsOf={(route) => <RouteDetails route={route} />}
        load={async () => ({ ...(await answerOf(api.GET('/system/routes'))), nextCursor: null })}
        empty={{ icon: 'route', title: say('routes.empty'), hint: say('routes.empty.hint') }}
        columns={[
          {
            key: 'prefix',
            title: say('route.prefix'),
            sortBy: (route) => route.prefix,
            show: (route) => (
              <>
                <b className="mono">{route.prefix}</b>
                <span className="sub mono break">{route.host?.join(', ')}</span>
              </>
            ),
          },
          {
            key: 'upstream',
            title: say('route.upstream'),
            sortBy: (route) => route.upstream,
            show: (route) => <span className="mono">{route.upstream}</span>,
          },
          { key: 'asks', title: say('route.asks'), isSecondary: true, show: asksFor },
          {
            key: 'decide',
            title: say('route.decide'),
            sortBy: (route) => route.decide,
            show: (route) => <Enforced route={route} />,
          },
          {
            key: 'targets',
            title: say('route.targets'),
            show: (route) =>
              route.targets.map((target) => <TargetState key={target.address} target={target} />),
          },
        ]}
      />
    </>
  )
}
