import { z } from 'zod'
import { featureCode, label, username } from '../directory/fields.js'
import { firstRoles, makeFirstProduct, type FirstProduct, type Step } from '../directory/first-product.js'
import type { Edit } from '../directory/scope.js'
import { GatewayError } from '../errors.js'
import { exitCodes } from '../domain/exit-codes.js'
import { emailAddress } from '../domain/email-address.js'
import { issueFirstAccess } from '../login/first-access.js'
import { setFirstPassword } from '../login/first-access-queries.js'
import { checkNewPassword } from '../login/password-policy.js'
import { createPasswords } from '../login/password.js'
import { slugFrom } from '../portal/slug.js'
import { addRoute } from '../proxy/add-route.js'
import { routePrefix } from '../proxy/route-schema.js'
import { upstreamTarget } from '../proxy/upstream-schema.js'
import type { CommandResult } from './routes-command.js'
import { asOperator, heard, type Operator } from './as-operator.js'
import { ask, readNewPassword } from './read-secret.js'
import { readRouteFile, writeRouteFile } from './route-file.js'
import { failed, isNotMigrated, said } from './command-result.js'
import { madeOf, publicUrlOf } from './user-commands.js'

/** What `init` is called with; what is missing is asked for on a terminal. */
export interface InitOptions {
  mandate?: string
  service?: string
  path?: string
  user?: string
  email?: string
  fullName?: string
  role?: string
  feature?: string
  file?: string
  strip: boolean
  /** Read a password instead of printing a link. */
  password: boolean
  dryRun: boolean
  /** Nobody needs to be asked. */
  yes: boolean
  json: boolean
}

const product = z.strictObject({
  mandate: label,
  service: upstreamTarget,
  path: routePrefix,
  user: username,
  email: emailAddress.nullable(),
  fullName: label.nullable(),
  role: z.enum(firstRoles, `must be one of ${firstRoles.join(', ')}`),
  feature: featureCode.regex(
    /^[\w-]+(?:\.[\w-]+)*$/,
    'must be a dotted path such as orders: it is the item that rules are about',
  ),
})
type Product = z.infer<typeof product>

const needed = {
  mandate: 'Name of the mandate (a customer or a team)',
  service: 'Address of your service',
  path: 'Path prefix that it is reached by',
  user: 'Username of the first person',
} as const
const offered = { mandate: '', service: 'http://127.0.0.1:9000', path: '', user: '' } as const

/** Completes the options by asking. Rejects where there is no terminal and one is missing. */
async function complete(options: InitOptions): Promise<Product> {
  const names = Object.keys(needed) as (keyof typeof needed)[]
  const missing = names.filter((name) => options[name] === undefined)
  if (missing.length > 0 && !process.stdin.isTTY) {
    throw new Error(
      `Without a terminal nobody can be asked. Give ${missing.map((name) => `--${name}`).join(', ')}; mandate-gateway init --help shows an example.`,
    )
  }
  const given = { ...options }
  for (const name of missing) given[name] = await ask(needed[name], offered[name])
  const { mandate, service, path, user, email = null, fullName = null, role = 'admin' } = given
  const feature = given.feature ?? path?.split('/').at(-1)
  const parsed = product.safeParse({
    mandate,
    service: service?.replace(/\/$/, ''),
    path,
    user,
    email,
    fullName,
    role,
    feature,
  })
  if (parsed.success) return parsed.data
  throw new GatewayError('validation_failed', 'This cannot be set up', {
    errors: parsed.error.issues.map(({ path: [name], message }) => ({
      path: `--${String(name === 'fullName' ? 'full-name' : name)}`,
      message,
    })),
  })
}

const directoryPart = ({ mandate, feature, user, email, fullName, role }: Product): FirstProduct => ({
  mandate: { slug: slugFrom(mandate), label: mandate },
  feature,
  person: { username: user, email, fullName, role },
})

/** All steps where nothing is there yet: the database has no tables. */
function allSteps({ mandate, feature, person }: FirstProduct): Step[] {
  return [
    { what: 'mandate', name: `${mandate.label} (${mandate.slug})`, made: true },
    { what: 'feature', name: feature, made: true },
    ...firstRoles.map((role): Step => ({ what: 'role', name: role, made: true })),
    { what: 'person', name: person.username, made: true },
    { what: 'membership', name: `${person.username} in ${mandate.slug}, as ${person.role}`, made: true },
  ]
}

interface Outcome {
  steps: Step[]
  /** Absent where nothing was made, or would be known only then. */
  mandateId?: string
  firstAccess?: { url: string; expiresAt: Date }
  heard?: string
}

/** Finds out what would be made, and makes nothing. */
async function planProduct({ scope }: Pick<Operator, 'scope'>, wanted: FirstProduct): Promise<Outcome> {
  let steps = allSteps(wanted)
  try {
    await scope.change(
      async (edit) => {
        ;({ steps } = await makeFirstProduct(edit, wanted))
      },
      { dryRun: true },
    )
  } catch (error) {
    if (!isNotMigrated(error)) throw error
  }
  return { steps: steps.map(({ id: _id, ...step }) => step) }
}

/** How the person of the product gets a password. */
async function letIn(
  { tx }: Edit,
  userId: string,
  passwordHash: string | undefined,
): Promise<{ path: string; expiresAt: Date } | undefined> {
  if (passwordHash === undefined) return await issueFirstAccess(tx, userId, null)
  await setFirstPassword(tx, userId, passwordHash)
  return undefined
}

async function make(
  { scope, config }: Pick<Operator, 'scope' | 'config'>,
  wanted: FirstProduct,
  password: string | undefined,
): Promise<Outcome> {
  const passwordHash = password === undefined ? undefined : await createPasswords().hash(password)
  const { result, coherence } = madeOf(
    await scope.change(async (edit) => {
      const made = await makeFirstProduct(edit, wanted)
      return {
        ...made,
        link: made.newUserId === undefined ? undefined : await letIn(edit, made.newUserId, passwordHash),
      }
    }),
  )
  const { steps, mandateId, link } = result
  return {
    steps,
    mandateId,
    heard: heard(coherence),
    ...(link ? { firstAccess: { url: publicUrlOf(config) + link.path, expiresAt: link.expiresAt } } : {}),
  }
}

const widest = 'membership'.length

function inWords({ steps, firstAccess, heard: coherence }: Outcome, dryRun: boolean): string[] {
  const verb = (made: boolean) => (made ? (dryRun ? 'would make' : 'made      ') : 'exists    ')
  return [
    ...steps.map(
      ({ what, name, id, made }) =>
        `${verb(made)}  ${what.padEnd(widest)}  ${name}${id === undefined ? '' : `  ${id}`}`,
    ),
    ...(dryRun ? ['Nothing was changed.'] : []),
    ...(firstAccess
      ? [
          '',
          `The link by which they set a password, once, until ${firstAccess.expiresAt.toISOString()}:`,
          `  ${firstAccess.url}`,
        ]
      : []),
    ...(coherence === undefined ? [] : ['', coherence]),
  ]
}

/** Three lines that a shell takes, for the person that was named and the password in $PASSWORD. */
function curlLines(url: string, { user, path, feature }: Product, mandateId: string): string[] {
  const body = `'{"username":${JSON.stringify(user).replaceAll("'", `'\\''`)},"password":"'"$PASSWORD"'"}'`
  return [
    `curl -s -c cookies.txt -H 'Content-Type: application/json' -d ${body} ${url}/auth/login`,
    `curl -s -b cookies.txt -H 'X-Mandate-Id: ${mandateId}' ${url}${path}`,
    `curl -s -b cookies.txt -H 'X-Mandate-Id: ${mandateId}' '${url}/auth/permissions?context=RESOURCE&item=${feature}'`,
  ]
}

const howToReload = (file: string) =>
  `A running gateway reads ${file} anew within two seconds where it was started on a terminal or with GATEWAY_ROUTES_WATCH=true; elsewhere at SIGHUP (kill -HUP, systemctl reload) or at its next start.`

/**
 * `init`: makes a mandate, its roles, a person and a route for a service of one's own, as far as they are not
 * there.
 */
export async function initProduct(options: InitOptions): Promise<CommandResult> {
  try {
    const wanted = await complete(options)
    return await asOperator((operator) => setUp(operator, wanted, options))
  } catch (error) {
    return failed(error)
  }
}

async function setUp(
  operator: Operator,
  wanted: Product,
  { file, strip, password: withPassword, dryRun, yes, json }: InitOptions,
): Promise<CommandResult> {
  const { config } = operator
  const routes = file ?? config.GATEWAY_ROUTES
  const added = addRoute(await readRouteFile(routes), routes, {
    prefix: wanted.path,
    target: wanted.service,
    item: wanted.feature,
    strip,
  })
  const route: Step = {
    what: 'route',
    name: `${wanted.path} to ${wanted.service}, in ${routes}`,
    made: added.made,
  }
  const directory = directoryPart(wanted)
  if (dryRun || !yes) {
    const planned = await planProduct(operator, directory)
    planned.steps.push(route)
    if (dryRun)
      return said(exitCodes.ok, json, { dryRun: true, steps: planned.steps }, inWords(planned, true))
    process.stderr.write(`${inWords(planned, true).slice(0, -1).join('\n')}\n`)
    if (!process.stdin.isTTY)
      throw new Error(
        'Nothing was changed. Without a terminal nobody can be asked: give --yes, or --dry-run to see what would be made.',
      )
    if (!/^y(?:es)?$/i.test(await ask('Make this?', 'no')))
      return { exitCode: exitCodes.no, stdout: '', stderr: 'Nothing was changed.\n' }
  }
  const password = withPassword ? await readNewPassword() : undefined
  if (password !== undefined) checkNewPassword(password, wanted.user)
  await operator.migrate()
  const made = await make(operator, directory, password)
  if (added.made) await writeRouteFile(routes, added.text)
  made.steps.push(route)
  const lines = curlLines(publicUrlOf(config), wanted, made.mandateId ?? '')
  const { steps, mandateId, firstAccess } = made
  return said(exitCodes.ok, json, { steps, mandateId, ...(firstAccess ? { firstAccess } : {}), try: lines }, [
    ...inWords(made, false),
    ...(added.made ? [howToReload(routes)] : []),
    '',
    `Try it, with the password of ${wanted.user} in $PASSWORD:`,
    ...lines.map((line) => `  ${line}`),
  ])
}
