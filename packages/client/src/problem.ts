/** One fault of an input: where (a dotted path) and what to do about it. */
export interface Fault {
  path: string
  message: string
}

/** The reason of a refusal, by a stable code. Clients translate `detail` and `errors` by it. */
export interface Reason {
  /** The field, as in `errors`; absent when the whole request was refused. */
  path?: string
  /** Such as `too_long`. */
  code: string
  /** Values for the text of the code, such as `max`. A list holds the allowed values. */
  values: Record<string, string | number | string[]>
}

/** The gateway's problem document (RFC 9457). */
export interface Problem {
  title: string
  status: number
  detail: string
  /** A stable code for programs, such as `permission_denied`. */
  code: string
  /** The id of the request. The gateway's operator finds it in the log. */
  requestId: string
  errors?: Fault[]
  reasons?: Reason[]
}

/** A refusal or failure as an error. */
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

/** Parses a body that should be a problem document. Any other body becomes one with the code `unknown`. */
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

/** Returns the problem of a response, without consuming the response. */
export async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => undefined)
  return asProblem(body, response)
}
