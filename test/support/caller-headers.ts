/** The headers by which the gateway tells a service who calls, where, and what they may do. */
export const callerHeaders = [
  'X-User-Id',
  'X-Username',
  'X-Authority',
  'X-Session-Id',
  'X-Mandate-Id',
  'X-Instance-Id',
  'X-Role-Ids',
  'X-Access-Level',
  'X-Portal-Client-Id',
  'X-Gateway-Identity',
]

/** Returns a header's name as a forgiving upstream (CGI, WSGI, PHP) reads it. */
export const foldedName = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '-')
