import { z } from 'zod'
import { actorOf, type Actor } from '../audit/record-change.js'
import { beginAsAdmin } from '../authorization/still-admin.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import { answerDeleted, changeQuery, deletedAnswers } from '../directory/change-endpoints.js'
import { fieldError } from '../domain/reasons.js'
import { GatewayError } from '../errors.js'
import { endpoint, idOf, type Answer, type Call, type Endpoint } from '../http/endpoint/endpoint.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import { changeLogins, type Changing, type LoginChange } from './change-login.js'

type ChangeCall = Pick<Call<unknown, { dryRun: boolean }>, 'req' | 'query'>

/** Changes logins for a caller who still is a SysAdmin, and responds with what nodes heard or the preview. */
export async function answerLoginChange(
  changing: Changing,
  { req, query: { dryRun } }: ChangeCall,
  ownerOf: LoginChange['ownerOf'],
  change: (tx: CoherentTx, actor: Actor) => Promise<void>,
): Promise<Answer> {
  const outcome = await changeLogins(changing, {
    dryRun,
    ownerOf,
    change: async (tx) => {
      await beginAsAdmin(tx, req.state.principal?.user, 'sysAdmin')
      await change(tx, actorOf(req))
    },
  })
  return answerDeleted(outcome)
}

/** A kind of row that lets a user in. */
interface LoginRow {
  kind: 'session' | 'token'
  summary: string
  /** Returns the id of the user whose row it is. */
  ownerOf: (tx: CoherentTx, id: string) => Promise<string | undefined>
  /** Ends it for good. Returns the id of the user whose row it was; undefined if there is none. */
  end: (tx: CoherentTx, id: string, actor: Actor) => Promise<string | undefined>
}

/** Returns the endpoint by which SysAdmins end a session or a token. */
export function endLoginEndpoint(changing: Changing, { kind, summary, ownerOf, end }: LoginRow): Endpoint {
  return endpoint({
    method: 'delete',
    path: `/system/${kind}s/:id`,
    unversioned: true,
    summary,
    access: sysAdmins,
    query: changeQuery,
    answers: deletedAnswers,
    handle: (call) => {
      const id = idOf(call)
      return answerLoginChange(
        changing,
        call,
        (tx) => ownerOf(tx, id),
        async (tx, actor) => {
          if ((await end(tx, id, actor)) === undefined)
            throw new GatewayError('not_found', `There is no ${kind} with this id`)
        },
      )
    },
  })
}

/** The fields of a query that finds sessions or tokens by their user. */
export const loginFilters = (kind: LoginRow['kind']) => ({
  q: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .regex(/^[^\0]*$/, fieldError('nul'))
    .optional()
    .meta({
      description: `the beginning of the user's name, address or a word of their name; or the ${kind}'s id`,
    }),
  user: z.string().min(1).max(256).optional().meta({ description: 'the id or the exact username' }),
})
