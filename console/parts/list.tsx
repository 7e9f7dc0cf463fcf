import { Button, Loader, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useState, type ComponentProps, type ReactNode } from 'react'
import { useSearchParams } from 'wouter'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import type { Action } from './actions'
import { Empty } from './empty'
import { blocking, FaultNote } from './fault'
import { Icon } from './icons'
import { ColumnHeading, DataRow, WaitingRows, type Column } from './list-row'
import { compareBy, useRows, type Load, type Sorting } from './rows'

interface Props<Row, Sort extends string> {
  /** What the list shows, for screen readers. */
  label: string
  /** The query key of the list, with its filters. */
  queryKey: readonly unknown[]
  load: Load<Row, Sort>
  columns: Column<Row, Sort>[]
  idOf: (row: Row) => string
  nameOf: (row: Row) => string
  /**
   * `server`: the endpoint searches; otherwise the text of a row that is searched here. Without it there is
   * no search.
   */
  search?: 'server' | ((row: Row) => string)
  /** The placeholder of the search. */
  searchHint?: string
  /** The details that a row unfolds to. */
  detailsOf?: (row: Row) => ReactNode
  actionsOf?: (row: Row) => Action[]
  /** Filters beside the search. */
  filters?: ReactNode
  isFiltered?: boolean
  /** The button at the end of the tool bar, which adds a row. */
  end?: ReactNode
  empty: ComponentProps<typeof Empty>
  refetchMs?: number
}

/** Says how many rows are shown, and loads more. */
function ListFoot({
  query: { hasNextPage, isFetchingNextPage, fetchNextPage },
  isLoadingAll,
  loaded,
  shown,
}: {
  query: Pick<ReturnType<typeof useRows>['query'], 'hasNextPage' | 'isFetchingNextPage'> & {
    fetchNextPage: () => Promise<unknown>
  }
  isLoadingAll: boolean
  loaded: number
  shown: number
}) {
  const say = useText()
  return (
    <div className="list-foot">
      <span aria-live="polite">
        {isLoadingAll
          ? say('list.loadingAll', { count: loaded })
          : say(hasNextPage ? 'list.shown.more' : 'list.all', { count: shown })}
      </span>
      {isFetchingNextPage ? (
        <Loader size="xs" />
      ) : (
        hasNextPage && (
          <Button size="compact-xs" variant="default" onClick={() => void fetchNextPage()}>
            {say('list.more')}
          </Button>
        )
      )}
    </div>
  )
}

/** Says why a list shows no row: none matches the search or the filters, or there is none. */
function NoRows({
  searched,
  isFiltered,
  empty,
  onClear,
}: {
  searched: string
  isFiltered: boolean
  empty: ComponentProps<typeof Empty>
  onClear: () => void
}) {
  const say = useText()
  if (searched)
    return (
      <Empty
        icon="search"
        title={say('list.noMatch', { search: searched })}
        hint={say('list.noMatch.hint')}
        action={
          <Button variant="default" size="xs" onClick={onClear}>
            {say('list.clear')}
          </Button>
        }
      />
    )
  if (isFiltered) return <Empty icon="search" title={say('list.noFilter')} hint={say('list.noFilter.hint')} />
  return <Empty {...empty} />
}

/** A list of rows with search, sorting, paging by cursor, and something to say where there are none. */
export function List<Row, Sort extends string = never>({
  label,
  queryKey,
  load,
  columns,
  idOf,
  nameOf,
  search,
  searchHint,
  detailsOf,
  actionsOf,
  filters,
  isFiltered = false,
  end,
  empty,
  refetchMs,
}: Props<Row, Sort>) {
  const say = useText()
  const { compareText } = useFormat()
  const [params] = useSearchParams()
  const [typed, setTyped] = useState(() => (search ? (params.get('q') ?? '') : ''))
  const [wanted] = useDebouncedValue(typed.trim(), 250)
  const [sorting, setSorting] = useState<Sorting>()
  const sorted = columns.find((column) => column.key === sorting?.key)
  // Endpoints that search answer in the order of what they found: that is sorted here.
  const isSearched = search === 'server' && wanted !== ''
  const sort: Sort | `-${Sort}` | undefined =
    isSearched || !sorted?.sort ? undefined : sorting?.isDescending ? `-${sorted.sort}` : sorted.sort
  const {
    query,
    rows: loaded,
    isPending,
    isLoadingAll,
  } = useRows({
    queryKey,
    load,
    search: search === 'server' ? wanted : '',
    sort,
    wantsAll: sorted !== undefined && sort === undefined,
    refetchMs,
  })

  const sortAnew = (key: string) =>
    setSorting((before) =>
      before?.key === key
        ? before.isDescending
          ? undefined
          : { key, isDescending: true }
        : { key, isDescending: false },
    )
  const matching =
    typeof search === 'function' && wanted
      ? loaded.filter((row) => search(row).toLowerCase().includes(wanted.toLowerCase()))
      : loaded
  const rows =
    sorting && !sort && sorted?.sortBy
      ? [...matching].sort(compareBy(sorted.sortBy, sorting.isDescending, compareText))
      : matching
  const width = columns.length + (actionsOf ? 1 : 0) + (detailsOf ? 1 : 0)

  const error = blocking(query)
  return (
    <>
      {(search ?? filters ?? end) && (
        <div className="tool-bar" role="search">
          {search && (
            <TextInput
              aria-label={searchHint ?? say('list.search')}
              placeholder={searchHint ?? say('list.search')}
              value={typed}
              onChange={(event) => setTyped(event.currentTarget.value)}
              leftSection={<Icon name="search" size={14} />}
              w={{ base: '100%', xs: 260 }}
              type="search"
            />
          )}
          {filters}
          {end && <div className="tool-end">{end}</div>}
        </div>
      )}
      {error && <FaultNote error={error} title={say('fault.load')} onRetry={() => void query.refetch()} />}
      {!error && (
        <section className="card list" aria-label={label} aria-busy={isPending}>
          <div className="list-scroll">
            <table>
              <thead>
                <tr>
                  {detailsOf && (
                    <th scope="col">
                      <span className="visually-hidden">{say('list.details')}</span>
                    </th>
                  )}
                  {columns.map((column) => (
                    <ColumnHeading key={column.key} column={column} sorting={sorting} onSort={sortAnew} />
                  ))}
                  {actionsOf && (
                    <th scope="col">
                      <span className="visually-hidden">{say('actions')}</span>
                    </th>
                  )}
                </tr>
              </thead>
              <tbody>
                {isPending && <WaitingRows columns={width} />}
                {rows.map((row) => (
                  <DataRow
                    key={idOf(row)}
                    row={row}
                    name={nameOf(row)}
                    columns={columns}
                    detailsOf={detailsOf}
                    actionsOf={actionsOf}
                  />
                ))}
              </tbody>
            </table>
          </div>
          {!isPending && rows.length === 0 && (
            <NoRows searched={wanted} isFiltered={isFiltered} empty={empty} onClear={() => setTyped('')} />
          )}
          {rows.length > 0 && (
            <ListFoot query={query} isLoadingAll={isLoadingAll} loaded={loaded.length} shown={rows.length} />
          )}
        </section>
      )}
    </>
  )
}
