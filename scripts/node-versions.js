/**
 * Runs the short suite on each supported Node: `npm run test:node-versions`, or only on some: `… 22 26`. All
 * other tests run on the oldest, which the project is developed on.
 */
import path from 'node:path'
import { installBinaries, runOnVersions } from './short-suite.js'

const name = `node-${process.platform}-${process.arch}`

await runOnVersions({
  what: 'Node',
  versions: { 20: '20.20.2', 22: '22.23.5', 24: '24.22.3', 26: '26.12.1' },
  // These ask most of Node: parsing and writing of HTTP, sockets, streams, upgrades, native modules,
  // processes and signals.
  files: [
    'test/http/body.test.ts',
    'test/http/malformed.test.ts',
    'test/http/request-lines.test.ts',
    'test/http/unfinished-body.test.ts',
    'test/proxy/raw-headers.test.ts',
    'test/proxy/raw-sockets.test.ts',
    'test/proxy/streaming.test.ts',
    'test/proxy/trailers-and-ranges.test.ts',
    'test/proxy/websocket.test.ts',
    'test/login/login.test.ts',
    'test/coherence/revocation.test.ts',
    'test/process/stop.test.ts',
  ],
  optionsOf: async (version) => {
    const node = path.join(await installBinaries(name, version), 'bin', 'node')
    return { node, env: { PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH ?? ''}` } }
  },
})
