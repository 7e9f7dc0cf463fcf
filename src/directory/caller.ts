import type { IncomingHttpHeaders } from 'node:http'
import type { ActingRequest } from '../audit/record-change.js'
import type { Principal } from '../authentication/principal.js'
import type { RequestContext } from '../context/request-context.js'

/** What changes need to know about the request that they are made for. Every request has these fields. */
export interface Caller extends ActingRequest {
  method: string
  headers: IncomingHttpHeaders
  state: ActingRequest['state'] & {
    principal: Principal | undefined
    /** Returns the mandate and instance. Throws if the endpoint requires none. */
    requireContext: () => RequestContext
  }
}
