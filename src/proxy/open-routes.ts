import type { RouteTable } from './route-table.js'

/**
 * Returns warnings about routes that enforce nothing, or that pass credentials on. They are meant for a move,
 * and to be removed after it.
 */
export function openRoutes({ routes }: Pick<RouteTable, 'routes'>): string[] {
  return routes.flatMap(({ name, credentials, decide }) => {
    if (decide === 'watch')
      return [
        `${name} only watches: every request is sent on, whatever the gateway decides. ` +
          'Set decide: enforce when the service has moved',
      ]
    return credentials === 'pass'
      ? [
          `${name} passes credentials on: the service can act as its callers. ` +
            'Set credentials: strip when the service has moved',
        ]
      : []
  })
}
