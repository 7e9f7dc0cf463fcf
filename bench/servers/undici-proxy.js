/** The least that forwards: node:http and undici, no decision, the headers as they come but for those of the hop. The upstream is the first argument. */
import { createServer } from 'node:http'
import { Pool } from 'undici'
import { announce } from './announce.js'

const pool = new Pool(process.argv[2], { connections: 256 })

function endToEnd(lines) {
  const kept = []
  for (let index = 0; index < lines.length; index += 2) {
    const name = lines[index].toLowerCase()
    if (name !== 'host' && name !== 'connection' && name !== 'keep-alive') kept.push(lines[index], lines[index + 1])
  }
  return kept
}

announce(createServer((req, res) => {
  pool.dispatch({ method: req.method, path: req.url, headers: endToEnd(req.rawHeaders), body: null }, {
    onRequestStart() {},
    onResponseStart(_controller, status, headers) { res.writeHead(status, headers) },
    onResponseData(controller, chunk) { if (!res.write(chunk)) { controller.pause(); res.once('drain', () => controller.resume()) } },
    onResponseEnd() { res.end() },
    onResponseError() { res.destroy() },
  })
}))
