import { z } from 'zod'
import { username } from '../authentication/username.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Sql } from '../database/connect.js'
import { fieldError, reason, reasonOf } from '../domain/reasons.js'
import { hashSecret } from '../domain/secrets.js'
import { faultAt, GatewayError } from '../errors.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import { languageOf, wantsHtml } from '../http/pages/html.js'
import { passwordFault } from './password-policy.js'
import type { Passwords } from './password.js'
import { setUpPage, setupPage } from './setup-pages.js'
import { becomeFirstAdmin, requireSetupLink } from './setup.js'

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

type FormFault = NonNullable<Parameters<typeof setupPage>[0]['fault']>

function faultOf({ username: name, password, repeated }: Form): FormFault | undefined {
  const named = username.safeParse(name)
  const [issue] = named.error?.issues ?? []
  if (issue) return { field: 'username', why: { ...reasonOf(issue), text: issue.message } }
  const why =
    repeated !== undefined && repeated !== password ? reason('same_twice') : passwordFault(password, name)
  return why === undefined ? undefined : { field: 'password', why }
}

const showEndpoint = ({ sql }: Dependencies): Endpoint =>
  endpoint({
    method: 'get',
    path: '/auth/setup/:token',
    summary: 'The page on which the first admin makes themselves; looking at it changes nothing',
    access: anyone,
    entry: 'setup',
    errors: 'page',
    answers: { 200: 'text/html' },
    handle: async (call) => {
      await requireSetupLink(sql, tokenHashOf(call))
      return setupPage({ language: languageOf(call.req) })
    },
  })

/** Makes the first admin from the form. Returns the fault of a field; undefined when it is done. */
async function becomeByForm(
  deps: Dependencies,
  call: Pick<Call<Form, unknown>, 'req' | 'params' | 'body'>,
): Promise<FormFault | undefined> {
  const { username: name, fullName, password } = call.body
  const fault = faultOf(call.body)
  if (fault) return fault
  const { id: requestId, clientAddress: address } = call.req.state
  const admin = { username: name, fullName: fullName || null, password }
  const isDone = await becomeFirstAdmin(deps, tokenHashOf(call), admin, { userId: null, requestId, address })
  return isDone ? undefined : { field: 'username', why: reason('taken') }
}

const becomeEndpoint = (deps: Dependencies): Endpoint =>
  endpoint({
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
      await requireSetupLink(deps.sql, tokenHashOf(call)) // before a password is hashed for anybody
      const fault = await becomeByForm(deps, call)
      const language = languageOf(req)
      if (fault === undefined) return wantsHtml(req) ? setUpPage(language) : { status: 204 }
      if (wantsHtml(req))
        return setupPage({ language, username: body.username, fullName: body.fullName ?? '', fault })
      throw new GatewayError('validation_failed', 'The admin cannot be made', {
        errors: [faultAt(fault.field, fault.why)],
      })
    },
  })

/**
 * Returns the endpoints of `/auth/setup/{token}`, where the first admin makes themselves, as long as there is
 * none. They sign nobody in.
 */
export const setupEndpoints = (deps: Dependencies): Endpoint[] => [showEndpoint(deps), becomeEndpoint(deps)]
