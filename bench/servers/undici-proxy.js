/**
 * What forwards and decides nothing: node:http and undici, by the call that undici's documentation gives for
 * proxies (`stream`), or by the barest that it has (`dispatch`). Arguments: the upstream, and which.
 */
import { createServer } from 'node:http'
import { Pool } from 'undici'
import { announce } from './announce.js'
import { endToEnd } from './end-to-end.js'

const [upstream, way] = process.argv.slice(2)
const pool = new Pool(upstream, { connections: 256 })

function byStream(req, res) {
  pool
    .stream(
      { method: req.method, path: req.url, headers: endToEnd(req.rawHeaders), opaque: res },
      ({ statusCode, headers, opaque }) => {
        opaque.writeHead(statusCode, headers)
        return opaque
      },
    )
    .catch(() => res.destroy())
}

function byDispatch(req, res) {
  pool.dispatch(
    { method: req.method, path: req.url, headers: endToEnd(req.rawHeaders), body: null },
    {
      onRequestStart() {},
      onResponseStart(_controller, status, headers) {
        res.writeHead(status, headers)
      },
      onResponseData(controller, chunk) {
        if (!res.write(chunk)) {
          controller.pause()
          res.once('drain', () => controller.resume())
        }
      },
      onResponseEnd() {
        res.end()
      },
      onResponseError() {
        res.destroy()
      },
    },
  )
}

announce(createServer(way === 'stream' ? byStream : byDispatch))
