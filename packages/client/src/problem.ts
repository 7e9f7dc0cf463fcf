/** One fault of an input: where (a dotted path) and what to do about it. */
export interface Fault {
  path: string
  message: string
}

/** Why something was refused, by a stable code: what clients translate `detail` and `errors` by. */
export interface Reason {
  /** The field, as in `errors`; absent for all of the request. */
  path?: string
  /** Such as `too_long`. */
  code: string
  /** What stands in the text of the code, such as `max`. A list is a choice. */
  values: Record<string, string | number | string[]>
}

/** What the gateway answers where it does not answer what was asked for (RFC 9457). */
export interface Problem {
  title: string
  status: number
  detail: string
  /** Stable, such as `permission_denied`: what programs decide by. */
  code: string
  /** Names the request; whoever runs the gateway can look it up. */
  requestId: string
  errors?: Fault[]
  reasons?: Reason[]
}

/** A refusal or failure as an error, for those who throw. */
export class ProblemError extends Error {
  readonly problem: Problem

  constructor(problem: Problem) {
    super(problem.detail)
    this.name = 'ProblemError'
    this.problem = problem
  }

  get status(): number {
    return this.problem.status
  }
  get code(): string {
    return this.problem.code
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'

function faultsIn(value: unknown): { errors: Fault[] } | undefined {
  if (!Array.isArray(value)) return undefined
  const errors = value.flatMap((one: Partial<Fault> | null) =>
    isText(one?.path) && isText(one.message) ? [{ path: one.path, message: one.message }] : [],
  )
  return { errors }
}

const isValue = (value: unknown): value is Reason['values'][string] =>
  isText(value) || typeof value === 'number' || (Array.isArray(value) && value.every(isText))

function reasonsIn(value: unknown): { reasons: Reason[] } | undefined {
  if (!Array.isArray(value)) return undefined
  const reasons = value.flatMap((one: Partial<Record<keyof Reason, unknown>> | null): Reason[] => {
    if (!isText(one?.code) || typeof one.values !== 'object' || one.values === null) return []
    const values = Object.entries(one.values).filter((entry): entry is [string, Reason['values'][string]] =>
      isValue(entry[1]),
    )
    return [
      { ...(isText(one.path) ? { path: one.path } : {}), code: one.code, values: Object.fromEntries(values) },
    ]
  })
  return { reasons }
}

/**
 * Reads a body that is expected to be a problem document; what is none becomes one with the code `unknown`.
 */
export function asProblem(
  body: unknown,
  { status, statusText }: Pick<Response, 'status' | 'statusText'>,
): Problem {
  const given: Partial<Record<keyof Problem, unknown>> = typeof body === 'object' && body !== null ? body : {}
  const text = (value: unknown, otherwise: string) => (isText(value) ? value : otherwise)
  return {
    title: text(given.title, statusText),
    status,
    detail: text(given.detail, statusText || `The server answered ${status}`),
    code: text(given.code, 'unknown'),
    requestId: text(given.requestId, ''),
    ...faultsIn(given.errors),
    ...reasonsIn(given.reasons),
  }
}

/** The problem that a response says, without using it up. */
export async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => undefined)
  return asProblem(body, response)
}
