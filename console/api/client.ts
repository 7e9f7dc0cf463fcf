import createClient from 'openapi-fetch'
import { asProblem, createGatewayClient, ProblemError } from '../../packages/client/src/index'
import type { components, paths } from './schema'

/** The session of this page: cookies, renewal and the mandate of this tab. */
export const gateway = createGatewayClient()

/** The gateway's own endpoints, typed by openapi.yaml. */
export const api = createClient<paths>({ fetch: gateway.fetch })

interface Answered<Data> {
  data?: Data
  error?: unknown
  response: Response
}

/** What was asked for. Throws a `ProblemError` for everything else. */
export async function answerOf<Data>(asked: Promise<Answered<Data>>): Promise<NonNullable<Data>> {
  const { data, error, response } = await asked
  if (!response.ok) throw new ProblemError(asProblem(error, response))
  return data as NonNullable<Data>
}

/** What a change that was only tried would do. Throws where it was made instead, which must not happen unnoticed. */
export async function previewOf(asked: Promise<object>): Promise<components['schemas']['Preview']> {
  const answer = await asked
  if (!isPreview(answer)) throw new Error('the change was made, not tried')
  return answer
}

const isPreview = (answer: object): answer is components['schemas']['Preview'] => 'dryRun' in answer
