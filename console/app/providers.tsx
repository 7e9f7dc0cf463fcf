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

/** How soon the gateway is asked again what it could not answer. */
const againMs = 3000

/** A refusal is an answer. What failed by itself is said at once, and asked again until it works. */
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

/** Shows a page's content where its HTML has the place for it. */
export function show(content: ReactNode): void {
  const root = document.getElementById('root')
  if (root) createRoot(root).render(<Providers>{content}</Providers>)
}
