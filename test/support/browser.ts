import { sendRequest, type HttpResponse } from './http-client.js'

interface Cookie {
  value: string
  path: string
  attributes: string[]
}

/**
 * A browser's cookie jar, and requests as its pages make them: with the cookies of their path, saying that
 * they come from the gateway's own page.
 */
export interface Browser {
  cookie: (name: string) => Cookie | undefined
  /** A browser with the same cookies, from here on with a jar of its own: two tabs whose requests cross. */
  copy: () => Browser
  /** The same browser, whose requests another node answers. */
  at: (url: string) => Browser
  send: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ) => Promise<HttpResponse>
  logIn: (username: string, password?: string) => Promise<HttpResponse>
}

/** Opens a browser at a gateway. */
export function openBrowser(url: string, jar = new Map<string, Cookie>()): Browser {
  const matches = (path: string, cookiePath: string) =>
    cookiePath === '/' || path === cookiePath || path.startsWith(`${cookiePath}/`)
  const keep = (line: string) => {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
    const equals = pair.indexOf('=')
    const path = attributes.find((one) => one.startsWith('Path='))?.slice(5) ?? '/'
    const key = `${pair.slice(0, equals)} ${path}`
    if (attributes.includes('Max-Age=0')) jar.delete(key)
    else jar.set(key, { value: pair.slice(equals + 1), path, attributes })
  }
  const browser: Browser = {
    cookie: (name) => [...jar].find(([key]) => key.startsWith(`${name} `))?.[1],
    copy: () => openBrowser(url, new Map(jar)),
    at: (otherUrl) => openBrowser(otherUrl, jar),
    send: async (method, path, body, headers = {}) => {
      const cookies = [...jar]
        .filter(([, { path: cookiePath }]) => matches(path, cookiePath))
        .map(([key, { value }]) => `${key.slice(0, key.indexOf(' '))}=${value}`)
      const answer = await sendRequest(url, path, {
        method,
        headers: {
          'Sec-Fetch-Site': 'same-origin',
          Origin: url,
          ...(cookies.length > 0 ? { Cookie: cookies.join('; ') } : {}),
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      for (const line of answer.headers['set-cookie'] ?? []) keep(line)
      return answer
    },
    logIn: (username, password = 'demo-password-1') =>
      browser.send('POST', '/auth/login', { username, password }),
  }
  return browser
}
