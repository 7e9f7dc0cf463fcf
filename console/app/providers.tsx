import './font.css'
import '@mantine/core/styles.css'
import './console.css'
import { MantineProvider } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { createRoot } from 'react-dom/client'
import { ProblemError } from '../../packages/client/src/index'
import { nonce } from './settings'
import { theme } from './theme'

/** A refusal is an answer: only what failed by itself is asked again. */
const mayRetry = (failures: number, error: Error) => failures < 2 && !(error instanceof ProblemError && error.status < 500)

const queries = new QueryClient({
  defaultOptions: { queries: { retry: mayRetry, staleTime: 5000, refetchOnWindowFocus: true } },
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
