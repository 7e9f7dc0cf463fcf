import { fieldError, reason, reasonOf } from '../domain/reasons.js'
import { z } from 'zod'
import { recordChange, type Actor } from '../audit/record-change.js'
import { username } from '../authentication/username.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql, Tx } from '../database/connect.js'
import { GatewayError, faultAt } from '../errors.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { languageOf, wantsHtml } from '../http/pages/html.js'
import { anyone } from '../http/endpoint/policy.js'
import type { FirstAccess } from './first-access-endpoints.js'
import { passwordFault } from './password-policy.js'
import type { Passwords } from './password.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'
import {
  insertFirstAdmin,
  insertSetupLink,
  isSetupLink,
  takeSetupLink,
  type Replacing,
} from './setup-queries.js'
import { setUpPage, setupPage } from './setup-pages.js'

const linkHours = 24

/**
 * Makes a link by which somebody becomes the first admin, once. Undefined where there is an admin, or with
 * `earlier` where there is anybody.
 */
export async function issueSetupLink(
  tx: Tx,
  actor: Actor,
  replacing: Replacing,
): Promise<FirstAccess | undefined> {
  const token = makeSecret()
  const expiresAt = await insertSetupLink(tx, { tokenHash: hashSecret(token), hours: linkHours, replacing })
  if (!expiresAt) return undefined
  await recordChange(tx, {
    actor,
    mandateId: 'system',
    action: 'setup_link_issued',
    subject: 'setup',
    after: { expiresAt },
  })
  return { path: `/auth/setup/${token}`, expiresAt }
}

interface Dependencies {
  sql: Sql
  commitAndAwaitNodes: CommitAndAwaitNodes
  passwords: Pick<Passwords, 'hash'>
}

const form = z.strictObject({
  username: z.string().trim(),
  fullName: z
    .string()
    .trim()
    .max(200)
    .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u, fieldError('one_line'))
    .optional(),
  password: z.string(),
  repeated: z.string().optional(),
})
type Form = z.infer<typeof form>

const tokenHashOf = ({ params }: Pick<Call<unknown, unknown>, 'params'>) => hashSecret(params.token ?? '')

/** Used, expired, replaced, never made, or there is an admin: whoever has no link need not learn which. */
const gone = () => new GatewayError('not_found', reason('setup_link_used'))

type FormFault = NonNullable<Parameters<typeof setupPage>[0]['fault']>

function faultOf({ username: name, password, repeated }: Form): FormFault | undefined {
  const named = username.safeParse(name)
  const [issue] = named.error?.issues ?? []
  if (issue) return { field: 'username', why: { ...reasonOf(issue), text: issue.message } }
  const why =
    repeated !== undefined && repeated !== password ? reason('same_twice') : passwordFault(password, name)
  return why === undefined ? undefined : { field: 'password', why }
}

/**
 * `/auth/setup/{token}`: where the first admin makes themselves, as long as there is none. It signs nobody
 * in.
 */
export function setupEndpoints({ sql, commitAndAwaitNodes, passwords }: Dependencies): Endpoint[] {
  const refuseDead = async (tokenHash: string) => {
    if (!(await isSetupLink(sql, tokenHash))) throw gone()
  }

  /** Returns false where the name is taken; the link works on. */
  const become = async (
    tokenHash: string,
    { username: name, fullName, password }: Form,
    actor: Actor,
  ): Promise<boolean> => {
    const passwordHash = await passwords.hash(password)
    try {
      await commitAndAwaitNodes(async (tx) => {
        if (!(await takeSetupLink(tx, tokenHash))) throw gone()
        const id = await insertFirstAdmin(tx, { username: name, fullName: fullName || null, passwordHash })
        if (id === undefined) throw new GatewayError('conflict', reason('taken'))
        await recordChange(tx, {
          actor: { ...actor, userId: id },
          mandateId: 'system',
          action: 'first_admin_made',
          subject: `user:${id}`,
          after: { username: name, fullName: fullName || null, isSysAdmin: true, isPlatformAdmin: true },
        })
      })
      return true
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'conflict') return false
      throw error
    }
  }

  const show = endpoint({
    method: 'get',
    path: '/auth/setup/:token',
    summary: 'The page on which the first admin makes themselves; looking at it changes nothing',
    access: anyone,
    entry: 'setup',
    errors: 'page',
    answers: { 200: 'text/html' },
    handle: async (call) => {
      await refuseDead(tokenHashOf(call))
      return setupPage({ language: languageOf(call.req) })
    },
  })

  const set = endpoint({
    method: 'post',
    path: '/auth/setup/:token',
    summary: 'Become the first admin, SysAdmin and PlatformAdmin, once',
    access: anyone,
    entry: 'setup',
    crossSite: 'always',
    errors: 'page',
    body: form,
    bodyTypes: ['application/x-www-form-urlencoded', 'application/json'],
    answers: { 200: 'text/html', 204: null },
    handle: async (call): Promise<Answer> => {
      const { req, body } = call
      await refuseDead(tokenHashOf(call)) // before a password is hashed for a stranger
      const fault =
        faultOf(body) ??
        ((await become(tokenHashOf(call), body, {
          userId: null,
          requestId: req.state.id,
          address: req.state.clientAddress,
        }))
          ? undefined
          : ({ field: 'username', why: reason('taken') } as const))
      const language = languageOf(req)
      if (fault === undefined) return wantsHtml(req) ? setUpPage(language) : { status: 204 }
      if (wantsHtml(req))
        return setupPage({ language, username: body.username, fullName: body.fullName ?? '', fault })
      throw new GatewayError('validation_failed', 'The admin cannot be made', {
        errors: [faultAt(fault.field, fault.why)],
      })
    },
  })

  return [show, set]
}
