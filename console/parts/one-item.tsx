import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { blocking, FaultNote } from './fault'
import { PageHead } from './page-head'
import { Waiting } from './waiting'

interface Props<Item> {
  /** The title where the item cannot be shown. */
  title: string
  backTo: { href: string; label: string }
  queryKey: readonly unknown[]
  load: () => Promise<Item>
  children: (item: Item) => ReactNode
  /** What stands below the error where there is one. */
  belowError?: (error: Error) => ReactNode
}

/** The page of one item: it waits for the item, then shows it or says why it cannot be shown. */
export function OneItem<Item>({ title, backTo, queryKey, load, children, belowError }: Props<Item>) {
  const { data, error: failed, refetch } = useQuery({ queryKey, queryFn: load })
  const error = blocking({ data, error: failed })
  if (error)
    return (
      <>
        <PageHead title={title} backTo={backTo} />
        <FaultNote error={error} onRetry={() => void refetch()} />
        {belowError?.(error)}
      </>
    )
  return data === undefined ? <Waiting /> : children(data)
}
