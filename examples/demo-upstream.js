/**
 * The demo upstream: a small CRM that serves each mandate its own contacts. It believes the gateway's
 * headers, as it listens on the loopback interface only, or on that of `HOST`, which nobody but the gateway
 * may reach. `PORT` chooses the port; a parent process is told the address.
 */
import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const acme = '00000000-0000-4000-8000-000000000101'
const globex = '00000000-0000-4000-8000-000000000102'

/** @type {Map<string, { id: number, name: string, email: string }[]>} */
const contacts = new Map([
  [
    acme,
    [
      { id: 1, name: 'Ada Lovelace', email: 'ada@analytical.example' },
      { id: 2, name: 'Grace Hopper', email: 'grace@cobol.example' },
    ],
  ],
  [globex, [{ id: 1, name: 'Hank Scorpio', email: 'hank@globex.example' }]],
])

/** @param {import('node:http').ServerResponse} res @param {number} status @param {unknown} body */
function answer(res, status, body) {
  const text = Buffer.from(JSON.stringify(body))
  res.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': text.length })
  res.end(text)
}

/** @param {import('node:http').IncomingMessage} req */
async function readBody(req) {
  const chunks = []
  for await (const chunk of req) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * @param {import('node:http').IncomingMessage} req @param {import('node:http').ServerResponse} res @param
 * {string} mandate
 */
async function serveContacts(req, res, mandate) {
  const own = contacts.get(mandate) ?? []
  contacts.set(mandate, own)
  if (req.method === 'GET' || req.method === 'HEAD')
    return answer(res, 200, { mandateId: mandate, contacts: own })
  if (req.method !== 'POST') return answer(res, 405, { error: 'contacts are listed (GET) and added (POST)' })
  try {
    const { name, email } = JSON.parse(await readBody(req))
    if (typeof name !== 'string' || name === '') return answer(res, 400, { error: 'a contact has a name' })
    const contact = {
      id: Math.max(0, ...own.map((one) => one.id)) + 1,
      name,
      email: typeof email === 'string' ? email : '',
    }
    own.push(contact)
    return answer(res, 201, contact)
  } catch {
    return answer(res, 400, { error: 'send a contact as JSON: {"name": …, "email": …}' })
  }
}

/** @param {import('node:http').IncomingMessage} req @param {import('node:http').ServerResponse} res */
function serveEvents(req, res) {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' })
  let count = 0
  const send = () => {
    count += 1
    res.write(
      `id: ${count}\nevent: tick\ndata: ${JSON.stringify({ count, at: new Date().toISOString() })}\n\n`,
    )
  }
  send()
  const timer = setInterval(send, 1000)
  res.once('close', () => clearInterval(timer))
}

const server = createServer((req, res) => {
  serve(req, res).catch(() => {
    res.destroy()
  }) // a client that goes away in the middle is no reason to end
})

/** @param {import('node:http').IncomingMessage} req @param {import('node:http').ServerResponse} res */
async function serve(req, res) {
  const { pathname } = new URL(req.url ?? '/', 'http://upstream')
  const mandate = String(req.headers['x-mandate-id'] ?? '')
  if (pathname === '/healthz') return answer(res, 200, { status: 'ok' })
  if (pathname === '/api/crm/contacts') return await serveContacts(req, res, mandate)
  if (pathname === '/api/crm/echo')
    return answer(res, 200, {
      method: req.method,
      url: req.url,
      headers: req.headers,
      body: await readBody(req),
    })
  if (pathname === '/api/crm/events') return serveEvents(req, res)
  if (pathname === '/api/crm/ws') return answer(res, 426, { error: 'this is a WebSocket' })
  return answer(res, 404, {
    error: 'the demo upstream has /api/crm/contacts, /api/crm/echo, /api/crm/events and /api/crm/ws',
  })
}

const sockets = new WebSocketServer({ server, path: '/api/crm/ws' })
sockets.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})

server.listen(Number(process.env.PORT ?? 0), process.env.HOST ?? '127.0.0.1', () => {
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no address')
  if (process.send) process.send({ url: `http://127.0.0.1:${address.port}` })
  else process.stdout.write(`The demo upstream listens on http://127.0.0.1:${address.port}\n`)
})

const stop = () => {
  server.close(() => process.exit(0))
  server.closeAllConnections()
  sockets.close()
}
process.on('disconnect', stop) // the gateway that started it has ended, however it ended
process.on('SIGTERM', stop)
// Ctrl-C reaches the whole terminal; a gateway says itself when it is done
process.on('SIGINT', () => {
  if (!process.send) stop()
})
