/** The least that Node can do: a small JSON answer. Also the upstream of what forwards. */
import { createServer } from 'node:http'
import { announce } from './announce.js'

const body = Buffer.from(
  JSON.stringify({
    mandateId: '00000000-0000-4000-8000-000000000101',
    contacts: [{ id: 1, name: 'Ada Lovelace' }],
  }),
)

announce(
  createServer((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': body.length })
    res.end(body)
  }),
)
