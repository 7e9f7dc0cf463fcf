import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { parse } from 'yaml'
import { testSecret } from '../../support/gateway.js'

const root = path.resolve(import.meta.dirname, '../../..')

/** What an operator would write to `.env`. */
const filledIn: Record<string, string> = {
  APP_JWT_KEY_SECRET: testSecret,
  SECRET_KEY: `${testSecret}-portal`,
  POSTGRES_PASSWORD: 'unused',
  POSTGRES_GATEWAY_PASSWORD: 'unused',
}

/** The variables that `docker-compose.yml` gives to a node, with those of the image below them. */
export async function composeEnvironment(): Promise<Record<string, string>> {
  const { services } = parse(await readFile(path.join(root, 'docker-compose.yml'), 'utf8'), {
    merge: true,
  }) as { services: Record<string, { environment: Record<string, string> }> }
  const image =
    /^ENV (.+)$/m
      .exec(await readFile(path.join(root, 'Dockerfile'), 'utf8'))?.[1]
      ?.split(' ')
      .map((pair) => pair.split('=')) ?? []
  const own = Object.entries(services['gateway-1']!.environment).map(([name, value]) => [
    name,
    value.replace(
      /\$\{(\w+)(?::-([^}]*)|:\?)\}/g,
      (_all, key: string, usual?: string) => usual ?? filledIn[key] ?? '',
    ),
  ])
  return Object.fromEntries([...image, ...own]) as Record<string, string>
}

/** A route of a service that moves in: what is counted of it has a panel. */
const movingRoute = '  /moving: { upstream: crm, credentials: pass, decide: watch }\n'

/**
 * Writes the route table of `deploy/compose`, with the address of the service replaced and a route that only
 * watches. Returns its path.
 */
export async function composeRoutes(directory: string, service: string): Promise<string> {
  const text = await readFile(path.join(root, 'deploy/compose/routes.yaml'), 'utf8')
  if (!text.includes('http://crm:9000'))
    throw new Error('deploy/compose/routes.yaml does not name http://crm:9000')
  const file = path.join(directory, 'routes.yaml')
  await writeFile(file, `${text.trimEnd()}\n${movingRoute}`.replaceAll('http://crm:9000', service))
  return file
}
