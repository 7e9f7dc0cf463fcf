import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const page = (name) => fileURLToPath(new URL(`${name}.html`, import.meta.url))

/** Where `npm run console` finds the gateway whose pages are being worked on. */
const gateway = { target: 'http://127.0.0.1:8080', changeOrigin: false }

export default defineConfig({
  base: '/console/',
  appType: 'mpa',
  publicDir: false,
  build: {
    emptyOutDir: true,
    target: 'es2022',
    // nothing of the pages stands in data: addresses, but for what the component library has
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    license: { fileName: 'licences.md' }, // of what is built into the pages, which goes with them
    rolldownOptions: {
      onLog: (level, log, tell) => {
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') tell(level, log)
      }, // "use client" says nothing here
      input: { console: page('console'), docs: page('docs'), start: page('start') },
    },
  },
  server: {
    proxy: { '^/(auth|mandate|admin|system|portal|projects|api|openapi.yaml|healthz|readyz)': gateway },
  },
})
