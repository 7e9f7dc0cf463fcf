declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- Express's types are extended through this namespace
  namespace Express {
    /** What the first steps of a request leave on it for those that follow. */
    interface Request {
      /** The request id: the caller's where it is well-formed, else new. */
      id: string
      /** `performance.now()` when the request's head had been read. */
      startedAt: number
      /** The client's address, behind as many proxies as are trusted. */
      clientAddress: string
      /** The path, normalised once: what is matched is what is sent. */
      pathname: string
      /** The query with its question mark, as received, or ''. */
      search: string
      /** The pattern of the endpoint or route that matched. */
      routePattern?: string
      /** The code of the refusal, for the access line. */
      refusal?: string
    }
  }
}

export {}
