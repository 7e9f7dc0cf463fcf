/**
 * Listens on a free port of the loopback interface and tells the parent process which. @param
 * {import('node:http').Server} server
 */
export function announce(server) {
  server.listen(0, '127.0.0.1', () => process.send({ url: `http://127.0.0.1:${server.address().port}` }))
  process.on('disconnect', () => process.exit(0))
}
