import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Sql } from '../database/connect.js'
import { listMigrations } from '../database/migrate.js'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import type { LiveRoutes } from '../proxy/live-routes.js'
import { findServerVersion, listRegisteredFeatures } from './registry-queries.js'

const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')))

const registry = z
  .strictObject({
    versions: z.strictObject({
      gateway: z.string(),
      schema: z.string().nullable().meta({ description: 'the last migration that was applied' }),
      node: z.string(),
      postgres: z.string(),
    }),
    features: z.array(z.strictObject({ code: z.string(), label: z.string(), instances: z.int() })),
    upstreams: z.array(
      z.strictObject({ name: z.string(), targets: z.array(z.string()), routes: z.array(z.string()) }),
    ),
  })
  .meta({ id: 'Registry' })

/** What this installation is made of: its features, the upstreams that serve them, and versions. */
export function registryEndpoints({
  sql,
  routes,
}: {
  sql: Sql
  routes: Pick<LiveRoutes, 'current'>
}): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/system/registry',
      summary: 'The features, the upstreams with their routes, and the versions of what runs',
      access: sysAdmins,
      answers: { 200: registry },
      handle: async () => {
        const { table } = routes.current()
        const upstreams = Object.entries(table.upstreams).map(([name, { targets }]) => ({
          name,
          targets,
          routes: table.routes.filter(({ upstream }) => upstream === name).map(({ prefix }) => prefix),
        }))
        const schema =
          (await listMigrations(sql)).filter(({ appliedAt }) => appliedAt !== null).at(-1)?.name ?? null
        return {
          status: 200,
          body: {
            versions: {
              gateway: version,
              schema,
              node: process.version,
              postgres: await findServerVersion(sql),
            },
            features: await listRegisteredFeatures(sql),
            upstreams,
          },
        }
      },
    }),
  ]
}
