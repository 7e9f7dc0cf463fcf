// Imported before everything else: what follows may not even load on an older Node.
const [major = 0] = process.versions.node.split('.').map(Number)
if (major < 20) {
  process.stderr.write(
    `mandate-gateway needs Node 20 or newer, and this is ${process.version}. Install a newer one: https://nodejs.org\n`,
  )
  process.exit(78)
}
