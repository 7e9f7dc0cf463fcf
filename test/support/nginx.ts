import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { deployed, startProxy, type Proxy } from './proxy-process.js'

/** What an operator would adapt in a file of `deploy/nginx/`. */
interface Options {
  /** The gateway's nodes. The files name two; a third is of no use here. */
  nodes: string[]
  /** The service behind nginx, where it sends requests on itself. */
  service?: string
  /** Further texts to replace. */
  replacements?: Record<string, string>
}

/** `host:port` of an address. */
export const hostOf = (url: string) => new URL(url).host

/**
 * Starts nginx with a file of `deploy/nginx/` in its http block, and everything that it writes in a directory
 * of its own.
 */
export function startNginx(file: string, { nodes, service, replacements = {} }: Options): Promise<Proxy> {
  const [first = '', second = first] = nodes.map(hostOf)
  return startWith(`nginx/${file}`, {
    '127.0.0.1:8080': first,
    '127.0.0.1:8081': second,
    ...(service === undefined ? {} : { '127.0.0.1:9000': hostOf(service) }),
    ...replacements,
  })
}

/** Starts nginx as `docker-compose.yml` does, in front of its three nodes. */
export function startComposeNginx(nodes: string[]): Promise<Proxy> {
  return startWith(
    'compose/nginx.conf',
    Object.fromEntries(nodes.map((url, index) => [`gateway-${index + 1}:8080`, hostOf(url)])),
  )
}

function startWith(file: string, replacements: Record<string, string>): Promise<Proxy> {
  return startProxy('nginx', async ({ directory, port, tlsPort, certificate }) => {
    const text = await deployed(file, {
      '    listen 80;\n':
        `    listen 127.0.0.1:${port};\n` +
        `    listen 127.0.0.1:${tlsPort} ssl http2;\n` +
        `    ssl_certificate ${certificate};\n` +
        `    ssl_certificate_key ${certificate};\n`,
      ...replacements,
    })
    await writeFile(path.join(directory, 'site.conf'), text)
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `  ${name}_temp_path ${directory}/${name};`,
    )
    await writeFile(
      path.join(directory, 'nginx.conf'),
      [
        'daemon off;',
        'master_process off;',
        `pid ${directory}/nginx.pid;`,
        'error_log stderr warn;',
        'events { worker_connections 512; }',
        'http {',
        '  access_log off;',
        ...temporary,
        `  include ${directory}/site.conf;`,
        '}',
        '',
      ].join('\n'),
    )
    return ['-p', directory, '-e', 'stderr', '-c', path.join(directory, 'nginx.conf')]
  })
}
