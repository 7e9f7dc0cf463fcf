import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { useEffect } from 'react'

/** The query of one page of a list, as the endpoints take it. */
export interface PageQuery<Sort extends string = never> {
  limit: string
  cursor?: string
  q?: string
  sort?: Sort | `-${Sort}`
}

export interface Page<Row> {
  items: Row[]
  nextCursor: string | null
}

export interface Sorting {
  key: string
  isDescending: boolean
}

/** A function that loads rows, or the rows themselves. */
export type Load<Row, Sort extends string> = ((query: PageQuery<Sort>) => Promise<Page<Row>>) | Row[]

interface Options<Row, Sort extends string> {
  queryKey: readonly unknown[]
  load: Load<Row, Sort>
  search: string
  sort: Sort | `-${Sort}` | undefined
  /** Whether to load all rows, since the endpoint does not sort them. */
  wantsAll: boolean
  refetchMs?: number | undefined
}

/** The most rows that are loaded to be sorted. */
const sortableRows = 5000

/** Returns the rows of a list, and how to load more. */
export function useRows<Row, Sort extends string>({
  queryKey,
  load,
  search,
  sort,
  wantsAll,
  refetchMs,
}: Options<Row, Sort>) {
  const query = useInfiniteQuery({
    queryKey: [...queryKey, search, sort],
    enabled: typeof load === 'function',
    queryFn: ({ pageParam }) =>
      Array.isArray(load)
        ? { items: load, nextCursor: null }
        : load({
            limit: wantsAll ? '200' : '50',
            ...(pageParam ? { cursor: pageParam } : {}),
            ...(search ? { q: search } : {}),
            ...(sort ? { sort } : {}),
          }),
    initialPageParam: '',
    getNextPageParam: (page) => page.nextCursor,
    placeholderData: keepPreviousData,
    ...(refetchMs ? { refetchInterval: refetchMs } : {}),
  })
  const rows = Array.isArray(load) ? load : (query.data?.pages.flatMap((page) => page.items) ?? [])
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = query
  const isLoadingAll = wantsAll && hasNextPage && rows.length < sortableRows
  useEffect(() => {
    if (isLoadingAll && !isFetchingNextPage) void fetchNextPage()
  }, [isLoadingAll, isFetchingNextPage, fetchNextPage])
  return { query, rows, isPending: !Array.isArray(load) && query.isPending, isLoadingAll }
}

/** Returns an order of rows by a value: numbers by size, text by `compareText`, absent values last. */
export function compareBy<Row>(
  valueOf: (row: Row) => string | number | null,
  isDescending: boolean,
  compareText: (a: string, b: string) => number,
): (a: Row, b: Row) => number {
  const sign = isDescending ? -1 : 1
  return (a, b) => {
    const [one, other] = [valueOf(a), valueOf(b)]
    if (one === null || other === null) return one === other ? 0 : one === null ? 1 : -1
    if (typeof one === 'number' && typeof other === 'number') return sign * (one - other)
    return sign * compareText(String(one), String(other))
  }
}
