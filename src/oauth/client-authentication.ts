import type { Request } from 'express'
import { z } from 'zod'
import type { Database } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import { clientInvalid, type AuthenticatedClient } from './authenticated-client.js'
import type { CheckPassword } from '../login/check-password.js'
import { assertionType, type CheckAssertion } from './client-assertion.js'
import { originOf } from '../login/issue-token.js'
import { hashSecret } from '../domain/secrets.js'
import { findSecret, findServiceAccount, noteSecretUse, useCredential } from './service-credential-queries.js'
import { lockLoginUser } from '../login/session-queries.js'

/** What a client may send in the body to say who it is (RFC 6749 §2.3.1, RFC 7521 §4.2). */
export const clientFields = {
  client_id: z
    .string()
    .max(300)
    .regex(/^[^\0]*$/)
    .optional(),
  client_secret: z.string().max(2000).optional(),
  client_assertion: z.string().max(8192).optional(),
  client_assertion_type: z.string().max(200).optional(),
}
type ClientFields = z.infer<z.ZodObject<typeof clientFields>>

/**
 * Finds out which service account a request comes from. Throws `client_invalid` (401), and
 * `validation_failed` for one that says so in two ways.
 */
export type AuthenticateClient = (req: Request, body: ClientFields) => Promise<AuthenticatedClient>

const ambiguous = (message: string) =>
  new GatewayError('validation_failed', 'The request is not valid', {
    errors: [{ path: 'client_id', message }],
  })

/** RFC 6749 §2.3.1: both parts are form-encoded before they are joined. */
function decodePart(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw clientInvalid()
  }
}

/** The id and secret of an `Authorization: Basic` header; undefined where there is none. */
export function basicCredentials(
  header: string | undefined,
): { clientId: string; secret: string } | undefined {
  const [, encoded] = /^basic +(\S+)$/i.exec(header ?? '') ?? []
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString()
  const colon = text.indexOf(':')
  if (colon === -1 || text.includes('\0')) throw clientInvalid()
  return { clientId: decodePart(text.slice(0, colon)), secret: decodePart(text.slice(colon + 1)) }
}

interface Presented {
  clientId: string
  secret: string
}

/** A client authenticates in one way, and says one name. */
function presentedBy(
  req: Request,
  body: ClientFields,
): Presented | { assertion: string; clientId: string | undefined } {
  const basic = basicCredentials(req.headers.authorization)
  const ways = [
    basic !== undefined,
    body.client_secret !== undefined,
    body.client_assertion !== undefined,
  ].filter(Boolean).length
  if (ways > 1)
    throw ambiguous('the client must authenticate in one way: by Basic, client_secret or client_assertion')
  if (basic) {
    if (body.client_id !== undefined && body.client_id !== basic.clientId)
      throw ambiguous('must be the one of the Authorization header')
    return basic
  }
  if (body.client_assertion !== undefined) {
    if (body.client_assertion_type !== assertionType)
      throw ambiguous(`client_assertion_type must be ${assertionType}`)
    return { assertion: body.client_assertion, clientId: body.client_id }
  }
  if (body.client_id === undefined || body.client_secret === undefined) throw clientInvalid()
  return { clientId: body.client_id, secret: body.client_secret }
}

interface Dependencies {
  database: Database
  checkPassword: CheckPassword
  checkAssertion: CheckAssertion
}

/**
 * Service accounts show a secret of theirs, their password if they have one, or an assertion that they
 * signed.
 */
export function authenticateClient({
  database,
  checkPassword,
  checkAssertion,
}: Dependencies): AuthenticateClient {
  const bySecret = async ({ clientId, secret }: Presented, req: Request): Promise<AuthenticatedClient> => {
    const account = await findServiceAccount(database, clientId)
    const known = account && (await findSecret(database, account.id, hashSecret(secret)))
    if (known && account.enabled) {
      return {
        account,
        credential: `secret:${known.id}`,
        use: (tx) => useCredential(tx, 'secret', known.id),
        show: () => noteSecretUse(database, known.id),
      }
    }
    // Also for a name that nobody has, and counted like any login: neither answer nor time tells which names
    // there are.
    const user = await checkPassword({
      username: account?.username ?? clientId,
      password: secret,
      ...originOf(req),
    })
    if (!user || account?.id !== user.id) throw clientInvalid()
    return {
      account,
      credential: undefined,
      use: (tx) => lockLoginUser(tx, user.id, user.passwordHash),
      show: () => Promise.resolve(true),
    }
  }
  return async (req, body) => {
    const presented = presentedBy(req, body)
    return 'assertion' in presented
      ? await checkAssertion(presented.assertion, presented.clientId)
      : await bySecret(presented, req)
  }
}
