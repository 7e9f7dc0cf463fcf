/**
 * How often requests of one upstream may be sent again: so that retries cannot multiply the load on what
 * already struggles.
 */
export interface RetryBudget {
  /** A request was sent for the first time. */
  earn: () => void
  /** Takes one retry from the budget, if it holds one. */
  spend: () => boolean
}

/** So many requests earn one retry. Counted in requests, since whole numbers add up exactly. */
const requestsPerRetry = 5

/**
 * Returns a token bucket of retries, full at first. It holds as many as one target has under way: all of them
 * are lost together when it dies.
 */
export function createRetryBudget(mostRetries: number): RetryBudget {
  const most = mostRetries * requestsPerRetry
  let earned = most
  return {
    earn: () => {
      if (earned < most) earned += 1
    },
    spend: () => {
      if (earned < requestsPerRetry) return false
      earned -= requestsPerRetry
      return true
    },
  }
}
