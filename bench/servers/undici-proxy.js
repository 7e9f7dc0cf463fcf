/** The least that forwards: node:http and undici, no decision, headers as they come. The upstream is the first argument. */
import { createServer } from 'node:http'
import { Pool } from 'undici'
import { announce } from './announce.js'

const pool = new Pool(process.argv[2], { connections: 256 })

announce(createServer((req, res) => {
  pool.dispatch({ method: req.method, path: req.url, headers: { 'x-request-id': 'bench' }, body: null }, {
    onRequestStart() {},
    onResponseStart(_controller, status, headers) { res.writeHead(status, headers) },
    onResponseData(controller, chunk) { if (!res.write(chunk)) { controller.pause(); res.once('drain', () => controller.resume()) } },
    onResponseEnd() { res.end() },
    onResponseError() { res.destroy() },
  })
}))
