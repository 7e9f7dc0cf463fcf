/** The budget of an upstream's retries, so that retries cannot multiply the load on a struggling service. */
export interface RetryBudget {
  /** Call it when a request was sent for the first time. */
  earn: () => void
  /** Takes one retry from the budget, if there is one. Returns whether there was. */
  spend: () => boolean
}

/** This many requests earn one retry. The budget counts requests, because whole numbers add up exactly. */
const requestsPerRetry = 5

/**
 * Creates a token bucket of retries, full at first. It holds as many as one target can have open, because all
 * of these fail together when it dies.
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
