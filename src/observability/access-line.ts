/** How a request came into a mandate: as a member, by platform level alone, or into none. */
export type Tier = 'none' | 'member' | 'platform'

/** The access log's line for one request. */
export interface AccessLine {
  requestId: string
  method: string
  /** The pattern of the endpoint or route, never the URL: queries hold secrets. */
  route: string | null
  status: number
  /** Milliseconds from the head of the request to the end of the response. */
  ms: number
  user: string | undefined
  mandate: string | undefined
  tier: Tier
  /** Whether the gateway admitted the request, whatever the upstream then responded. */
  granted: boolean
  /** The code of the refusal. */
  reason: string | undefined
  /** What a route that only watches would have decided: `granted`, `undecided` or the code of the refusal. */
  watched: string | undefined
  /** True when the client went away before the answer's end. */
  aborted: boolean
}

/** Takes the line of a request. */
export type LogRequest = (line: AccessLine) => void
