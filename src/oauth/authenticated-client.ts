import type { Tx } from '../database/connect.js'
import { GatewayError } from '../errors.js'
import type { ServiceAccount } from './service-credential-queries.js'

/** A service account that has shown who it is, and by what. */
export interface AuthenticatedClient {
  account: ServiceAccount
  /** Such as `secret:<id>`; undefined for the account's password. */
  credential: string | undefined
  /**
   * Uses the credential, in the transaction that gives something for it. Answers whether it still is good.
   */
  use: (tx: Tx) => Promise<boolean>
  /**
   * Uses the credential where nothing is given for it: an assertion is used up, the use of a secret noted.
   * Returns whether it still is good.
   */
  show: () => Promise<boolean>
}

/** One answer for whatever is wrong. RFC 6749 §5.2: with the scheme that the client used. */
export const clientInvalid = () =>
  new GatewayError('client_invalid', 'Client authentication failed', {
    headers: { 'WWW-Authenticate': 'Basic realm="mandate-gateway", charset="UTF-8"' },
  })
