import type { ReactNode } from 'react'
import type { components } from '../api/schema'
import { useFormat } from '../texts/format'
import { useLanguage, useText } from '../texts/language'

type LiveRoute = components['schemas']['LiveRoute']
/** Fields that the list or another fact shows. */
type Elsewhere = 'prefix' | 'name' | 'upstream' | 'auth' | 'decide' | 'targets' | 'rewrite'

/**
 * Everything else that the route file says of a route. A field of the endpoint without a fact here does not
 * compile.
 */
export function RouteDetails({ route }: { route: LiveRoute }) {
  const say = useText()
  const language = useLanguage()
  const { size, ms } = useFormat()
  const none = <span className="soft">{say('route.none')}</span>
  const list = (names: readonly string[] | null, otherwise: ReactNode = none) =>
    names && names.length > 0 ? <span className="mono">{names.join(', ')}</span> : otherwise
  const headers = (rules: LiveRoute['requestHeaders']) =>
    rules === null
      ? none
      : [
          ...(rules.set.length > 0 ? [say('route.headers.set', { names: rules.set.join(', ') })] : []),
          ...(rules.removed.length > 0
            ? [say('route.headers.removed', { names: rules.removed.join(', ') })]
            : []),
        ].join('; ')
  const { rewrite, strip, rateLimit, concurrency, tell, permission, guard } = route
  const facts: Record<Exclude<keyof LiveRoute, Elsewhere>, [title: string, value: ReactNode]> = {
    host: [say('route.host'), list(route.host, say('route.host.all'))],
    strip: [
      say('route.sent'),
      rewrite !== null
        ? say('route.sent.rewrite', { path: rewrite })
        : say(strip ? 'route.sent.strip' : 'route.sent.same'),
    ],
    preserveHost: [
      say('route.preserveHost'),
      say(route.preserveHost ? 'route.preserveHost.yes' : 'route.preserveHost.no'),
    ],
    mandate: [say('mandate'), say(`route.place.${route.mandate}`)],
    instance: [say('instance'), say(`route.place.${route.instance}`)],
    mandateFrom: [
      say('route.mandateFrom'),
      route.mandateFrom.map((source) => say(`route.mandateFrom.${source}`)).join(', '),
    ],
    guard: [say('route.guard'), guard === null ? none : say(`level.${guard}`)],
    permission: [
      say('route.permission'),
      permission === null ? (
        none
      ) : (
        <span className="mono">
          {permission.context} {permission.item}
        </span>
      ),
    ],
    rateLimit: [
      say('route.rateLimit'),
      rateLimit === null
        ? none
        : say('route.rateLimit.of', {
            requests: rateLimit.requests,
            seconds: rateLimit.windowMs / 1000,
            by: say(`route.by.${rateLimit.by}`),
          }),
    ],
    concurrency: [
      say('route.concurrency'),
      concurrency === null
        ? none
        : say('route.concurrency.of', { count: concurrency.limit, by: say(`route.by.${concurrency.by}`) }),
    ],
    timeoutMs: [
      say('route.timeout'),
      route.timeoutMs === null ? (
        <span className="soft">{say('route.timeout.upstream')}</span>
      ) : (
        ms(route.timeoutMs)
      ),
    ],
    bodyLimit: [say('route.bodyLimit'), route.bodyLimit === null ? none : size(route.bodyLimit)],
    addresses: [say('route.addresses'), list(route.addresses, say('route.addresses.all'))],
    credentials: [say('route.credentials'), say(`route.credentials.${route.credentials}`)],
    tell: [
      say('route.tell'),
      tell === null
        ? say('route.tell.all')
        : tell.map((part) => say(`route.tell.${part}`)).join(', ') || say('route.tell.none'),
    ],
    requestHeaders: [say('route.requestHeaders'), headers(route.requestHeaders)],
    responseHeaders: [say('route.responseHeaders'), headers(route.responseHeaders)],
    exposeHeaders: [say('route.exposeHeaders'), list(route.exposeHeaders)],
    title: [say('route.title'), route.title === null ? none : route.title[language]],
  }
  return (
    <dl className="facts pairs">
      {Object.entries(facts).map(([field, [title, value]]) => (
        <div className="fact" key={field}>
          <dt>{title}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}
