import { answerOf, api } from '../api/client'
import type { Realm } from '../api/realms'
import type { components } from '../api/schema'
import { actions } from '../parts/levels'

type Explanation = components['schemas']['Explanation']
type ExplainedDenial = components['schemas']['ExplainedDenial']
export type ExplainedRule = components['schemas']['ExplainedRule']
export type Subject = NonNullable<Explanation['subject']>

export const contexts = ['RESOURCE', 'DATA', 'UI'] as const
export const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** The fields of a question. They stand in the address of the page, so that it can be shared. */
export const questionFields = [
  'user',
  'mandate',
  'instance',
  'context',
  'item',
  'action',
  'method',
  'path',
  'request',
] as const
export type Question = Record<(typeof questionFields)[number], string>
export type Mode = 'item' | 'path' | 'refusal'

export const questionOf = (params: URLSearchParams): Question =>
  Object.fromEntries(questionFields.map((name) => [name, params.get(name) ?? ''])) as Question
export const modeOf = ({ request, path, method }: Question): Mode =>
  request ? 'refusal' : path || method ? 'path' : 'item'

/** Returns the address of a question, without empty fields. */
export const addressOf = (question: Partial<Question>) =>
  new URLSearchParams(Object.entries(question).filter(([, value]) => value !== '')).toString()

/** Returns the fields that the mode of the question uses. */
export function ofMode(
  { user, mandate, instance, context, item, action, method, path, request }: Question,
  mode: Mode,
): Partial<Question> {
  if (mode === 'refusal') return { request: request.trim() }
  return mode === 'path'
    ? { user, mandate, instance, method, path: path.trim() }
    : { user, mandate, instance, context, item: item.trim(), action }
}

export const isWhole = (question: Question) =>
  modeOf(question) === 'refusal' || (question.user !== '' && (question.path !== '' || question.action !== ''))

/** The answer to a question, or the explanation of a refused request. */
export interface Verdict {
  allowed: boolean
  user: { id: string; username: string | null }
  mandateId: string | null
  instanceId: string | null
  refusal: Explanation['refusal']
  subject: Subject | null
  deciding: ExplainedRule[]
  overruled: ExplainedRule[]
  /** Absent for a refused request. */
  decidedBy?: Explanation['decidedBy']
  level?: Explanation['level']
  roleIds?: string[]
  /** The question as a request. */
  request?: string
  /** When the request was refused; absent for a question. */
  at?: string
}

const verdictOf = (found: Explanation, method: string): Verdict => {
  const { route, toChange: _toChange, rule: _rule, ...rest } = found
  return { ...rest, ...(route === null ? {} : { request: `${method} ${route}` }) }
}

const pastVerdictOf = ({
  userId,
  username,
  mandateId,
  method,
  route,
  refusal,
  subject,
  deciding,
  at,
}: ExplainedDenial): Verdict => ({
  allowed: false,
  user: { id: userId, username },
  mandateId: mandateId === 'system' ? null : mandateId,
  instanceId: null,
  refusal,
  subject,
  deciding,
  overruled: [],
  at,
  request: `${method} ${route ?? ''}`,
})

async function explainRequest(realm: Realm, requestId: string): Promise<Verdict> {
  const params = { path: { requestId } }
  return pastVerdictOf(
    await answerOf(
      realm === 'platform'
        ? api.GET('/admin/explain/{requestId}', { params })
        : api.GET('/mandate/explain/{requestId}', { params }),
    ),
  )
}

/** Sends the question to the gateway. */
export async function explain(realm: Realm, question: Question): Promise<Verdict> {
  const { user, mandate, instance, context, item, action, method, path, request } = question
  if (request) return await explainRequest(realm, request)
  const about =
    modeOf(question) === 'path'
      ? { method: method || 'GET', path }
      : {
          context: contexts.find((one) => one === context) ?? contexts[0],
          item: item || null,
          action: actions.find((one) => one === action) ?? actions[0],
        }
  const body = {
    user,
    ...(mandate && realm === 'platform' ? { mandate } : {}),
    ...(instance ? { instance } : {}),
    ...about,
  }
  return verdictOf(
    await answerOf(
      realm === 'platform' ? api.POST('/admin/explain', { body }) : api.POST('/mandate/explain', { body }),
    ),
    method || 'GET',
  )
}
