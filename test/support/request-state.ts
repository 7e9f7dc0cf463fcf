import { RequestState } from '../../src/gateway/request-state.js'

/** Returns the state of a request for a step that is tried alone, as the steps before it would leave it. */
export function stateWith(fields: Partial<RequestState> = {}): RequestState {
  const arrival = {
    id: 'r1',
    startedAt: 0,
    clientAddress: '192.0.2.1',
    requestedHost: undefined,
    cookieHeader: undefined,
    takeUpgrade: undefined,
  }
  return Object.assign(new RequestState(arrival), fields)
}
