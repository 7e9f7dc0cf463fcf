import createClient from 'openapi-fetch'
import { asProblem, createGatewayClient, ProblemError } from '../../packages/client/src/index'
import { fetchAsSeen } from './as-seen'
import type { components, paths } from './schema'

/** The session of this page: cookies, renewal and the mandate of this tab. */
export const gateway = createGatewayClient()

/** Asks for the reasons of refusals by code, which the console puts into the words of its language. */
const headers = { Prefer: 'reasons' }

const client = createClient<paths>({ fetch: gateway.fetch, headers })

/** The gateway's own endpoints, typed by openapi.yaml: those that read, and those that make something new. */
export const api: Pick<typeof client, 'GET' | 'POST'> = client

/**
 * Changes of an item that the person has seen in this state: what somebody else has changed since is not
 * overwritten. The item's path is the path of the call. Rejects with a `ChangedError` where it is another by
 * now.
 */
export const edit = (seen: object): Pick<typeof client, 'PATCH' | 'PUT' | 'DELETE'> =>
  createClient<paths>({ fetch: fetchAsSeen(gateway.fetch, seen), headers })

/**
 * Calls about what has no version: they end a session, token, key or link for good, or set what is one value.
 * No edit can be lost by them.
 */
export const unversioned: Pick<typeof client, 'PUT' | 'DELETE'> = client

interface Answered<Data> {
  data?: Data
  error?: unknown
  response: Response
}

/** Returns the data of a response. Throws a `ProblemError` for a refusal or a failure. */
export async function answerOf<Data>(asked: Promise<Answered<Data>>): Promise<NonNullable<Data>> {
  const { data, error, response } = await asked
  if (!response.ok) throw new ProblemError(asProblem(error, response))
  return data as NonNullable<Data>
}

/**
 * What a change that was only tried would do. Throws where it was made instead, which must not happen
 * unnoticed.
 */
export async function previewOf(asked: Promise<object>): Promise<components['schemas']['Preview']> {
  const answer = await asked
  if (!isPreview(answer)) throw new Error('the change was made, not tried')
  return answer
}

const isPreview = (answer: object): answer is components['schemas']['Preview'] => 'dryRun' in answer
