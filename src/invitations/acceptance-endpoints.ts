import type { Request } from 'express'
import { z } from 'zod'
import type { Principal } from '../authentication/principal.js'
import { username as usernameSchema } from '../authentication/username.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Database } from '../database/connect.js'
import { label } from '../directory/fields.js'
import { reason, reasonOf } from '../domain/reasons.js'
import { hashSecret } from '../domain/secrets.js'
import { hourSeconds } from '../domain/time.js'
import { faultAt, GatewayError } from '../errors.js'
import { endpoint, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { anyone } from '../http/endpoint/policy.js'
import { languageOf, wantsHtml } from '../http/pages/html.js'
import { passwordFault } from '../login/password-policy.js'
import type { Passwords } from '../login/password.js'
import { acceptInvitation, invitationGone, type Accepting } from './accept.js'
import { acceptedPage, invitationPage, type FormFault } from './acceptance-pages.js'
import { countTry, findOpenInvitation, mostTries, type OpenInvitation } from './invitation-queries.js'

interface Dependencies {
  database: Database
  commitAndAwaitNodes: CommitAndAwaitNodes
  passwords: Pick<Passwords, 'hash'>
  /** Who is signed in, if anybody is. */
  findCaller: (req: Request) => Promise<Principal | undefined>
}

const accepting = z.strictObject({
  account: z.enum(['current', 'new'], 'must be current or new'),
  username: z.string().trim().optional(),
  password: z.string().optional(),
  repeated: z.string().optional(),
  fullName: z.union([z.literal('').transform(() => undefined), label]).optional(),
})
type Body = z.infer<typeof accepting>
const accepted = z.strictObject({ mandateId: z.uuid(), userId: z.uuid() })

const path = '/auth/invitations/:token'
const tokenHashOf = ({ params }: Pick<Call<unknown, unknown>, 'params'>) => hashSecret(params.token ?? '')

/** What a new account's name or password lacks. */
function faultOf({ username = '', password = '', repeated }: Body): FormFault | undefined {
  const [issue] = usernameSchema.safeParse(username).error?.issues ?? []
  if (issue) return { field: 'username', why: { ...reasonOf(issue), text: issue.message } }
  const why =
    repeated !== undefined && repeated !== password ? reason('same_twice') : passwordFault(password, username)
  return why && { field: 'password', why }
}

const asError = ({ field, why }: FormFault) =>
  new GatewayError('validation_failed', 'The account cannot be made', { errors: [faultAt(field, why)] })

/** Who accepts. Nothing of it is kept yet. */
async function whoAccepts(
  { passwords, findCaller }: Dependencies,
  req: Request,
  body: Body,
): Promise<Accepting> {
  if (body.account === 'current') {
    const caller = await findCaller(req)
    if (!caller) throw new GatewayError('authentication_required', 'Not authenticated')
    return { userId: caller.user.id }
  }
  const fault = faultOf(body)
  if (fault) throw asError(fault)
  const passwordHash = await passwords.hash(body.password ?? '')
  const username = usernameSchema.parse(body.username)
  return { account: { username, fullName: body.fullName ?? null, passwordHash } }
}

/** The fault of a form's field, where an error is one; it is shown in the form. */
function fieldFaultOf(error: unknown): FormFault | undefined {
  const [fault] = error instanceof GatewayError ? (error.errors ?? []) : []
  const isField = fault?.path === 'username' || fault?.path === 'password'
  if (fault === undefined || !isField) return undefined
  return {
    field: fault.path === 'username' ? 'username' : 'password',
    why: { code: 'invalid', values: {}, ...fault.reason, text: fault.message },
  }
}

async function refuseBeyondTries({ database }: Dependencies, tokenHash: string): Promise<OpenInvitation> {
  const isCounted = await countTry(database, tokenHash)
  const invitation = await findOpenInvitation(database, tokenHash)
  if (!invitation) throw invitationGone()
  if (!isCounted)
    throw new GatewayError('rate_limited', reason('invitation_tries', { max: mostTries }), {
      headers: { 'Retry-After': String(hourSeconds) },
    })
  return invitation
}

/** `/auth/invitations/{token}`: where somebody sees an invitation and accepts it. It signs nobody in. */
export function acceptanceEndpoints(deps: Dependencies): Endpoint[] {
  const { database, commitAndAwaitNodes, findCaller } = deps
  const pageOf = async (req: Request, invitation: OpenInvitation) => {
    const signedInAs = (await findCaller(req))?.user.username
    return { language: languageOf(req), invitation, signedInAs }
  }
  const show = endpoint({
    method: 'get',
    path,
    summary: 'The page of an invitation; looking at it changes nothing',
    access: anyone,
    entry: 'invitation',
    errors: 'page',
    answers: { 200: 'text/html' },
    handle: async (call) => {
      const invitation = await findOpenInvitation(database, tokenHashOf(call))
      if (!invitation) throw invitationGone()
      return invitationPage(await pageOf(call.req, invitation))
    },
  })
  const accept = endpoint({
    method: 'post',
    path,
    summary: 'Accept an invitation, once: as who is signed in, or with a new account',
    access: anyone,
    entry: 'invitation',
    crossSite: 'always',
    errors: 'page',
    body: accepting,
    bodyTypes: ['application/x-www-form-urlencoded', 'application/json'],
    answers: { 200: accepted },
    handle: async (call): Promise<Answer> => {
      const { req, body } = call
      const tokenHash = tokenHashOf(call)
      const invitation = await refuseBeyondTries(deps, tokenHash)
      const actor = { userId: null, requestId: req.state.id, address: req.state.clientAddress }
      try {
        const who = await whoAccepts(deps, req, body)
        const made = await acceptInvitation(commitAndAwaitNodes, { tokenHash, who, actor })
        return wantsHtml(req)
          ? acceptedPage(languageOf(req), invitation.mandateLabel)
          : { status: 200, body: made }
      } catch (error) {
        const fault = wantsHtml(req) ? fieldFaultOf(error) : undefined
        if (!fault) throw error
        const typed = { username: body.username ?? '', fullName: body.fullName ?? '', fault }
        return invitationPage({ ...(await pageOf(req, invitation)), typed })
      }
    },
  })
  return [show, accept]
}
