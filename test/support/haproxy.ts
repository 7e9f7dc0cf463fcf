import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { hostOf } from './nginx.js'
import { deployed, startProxy, type Proxy } from './proxy-process.js'

/** Starts HAProxy with `deploy/haproxy/haproxy.cfg`, as the user of the tests. */
export function startHaproxy({ nodes }: { nodes: string[] }): Promise<Proxy> {
  return startProxy('haproxy', async ({ directory, port, tlsPort, certificate }) => {
    const [first = '', second = first] = nodes.map(hostOf)
    const text = await deployed('haproxy/haproxy.cfg', {
      '    user haproxy\n    group haproxy\n    chroot /var/lib/haproxy\n': '',
      '    bind :80\n':
        `    bind 127.0.0.1:${port}\n    bind 127.0.0.1:${tlsPort} ssl ` +
        `crt ${certificate} alpn h2,http/1.1\n`,
      '127.0.0.1:8080': first,
      '127.0.0.1:8081': second,
    })
    await writeFile(path.join(directory, 'haproxy.cfg'), text)
    return ['-db', '-f', path.join(directory, 'haproxy.cfg')]
  })
}

/** A database server, and where its agent says by HTTP whether it is the primary. */
interface Checked {
  port: number
  checkPort: number
}

/**
 * Starts HAProxy before database servers: new sessions lead to the one whose agent responds with 200. Without
 * `on-marked-down shutdown-sessions`, so that others stay.
 */
export function startDatabaseHaproxy(servers: Checked[]): Promise<Proxy> {
  return startProxy('haproxy', async ({ directory, port, tlsPort }) => {
    await writeFile(
      path.join(directory, 'haproxy.cfg'),
      `
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
listen database
    bind 127.0.0.1:${port}
    bind 127.0.0.1:${tlsPort}
    option httpchk GET /primary
    http-check expect status 200
    default-server inter 200ms fall 2 rise 1
${servers
  .map(({ port: serverPort, checkPort }, index) => {
    return `    server database${index} 127.0.0.1:${serverPort} check port ${checkPort}`
  })
  .join('\n')}
`,
    )
    return ['-db', '-f', path.join(directory, 'haproxy.cfg')]
  })
}
