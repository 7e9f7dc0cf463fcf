import './font.css'
import '@mantine/core/styles.css'
import './console.css'
import { MantineProvider } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { createRoot } from 'react-dom/client'
import { isOutage } from '../parts/fault'
import { nonce } from './settings'
import { theme } from './theme'

/** How long to wait before a failed request is repeated, in milliseconds. */
const againMs = 3000

/** Refusals are final. Outages are shown at once, and the request is repeated until it works. */
const queries = new QueryClient({
  defaultOptions: {
    queries: {
      retry: false,
      staleTime: 5000,
      refetchOnWindowFocus: true,
      refetchInterval: ({ state: { error } }) => (isOutage(error) ? againMs : false),
    },
  },
})

function Providers({ children }: { children: ReactNode }) {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
      <QueryClientProvider client={queries}>{children}</QueryClientProvider>
    </MantineProvider>
  )
}

/** Renders a page into its HTML. */
export function show(content: ReactNode): void {
  const root = document.getElementById('root')
  if (root) createRoot(root).render(<Providers>{content}</Providers>)
}
