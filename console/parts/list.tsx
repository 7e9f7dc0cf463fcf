import { ActionIcon, Button, Loader, Menu, Skeleton, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useState, type ReactNode } from 'react'
import { useSearchParams } from 'wouter'
import { useText } from '../texts/language'
import { Empty } from './empty'
import { blocking, FaultNote } from './fault'
import { Icon, type IconName } from './icons'
import { compareBy, useRows, type Load, type Sorting } from './rows'

export interface Column<Row, Sort extends string = never> {
  key: string
  title: string
  show: (row: Row) => ReactNode
  /** What the endpoint sorts by. */
  sort?: Sort
  /** Where the endpoint does not sort: what rows are sorted by here. Without either they cannot be. */
  sortBy?: (row: Row) => string | number | null
  /** Left out on phones. */
  isSecondary?: boolean
  isNumber?: boolean
}

export interface RowAction {
  label: string
  icon: IconName
  isDestructive?: boolean
  onChoose: () => void
}

interface Props<Row, Sort extends string> {
  /** What the list shows, for screen readers. */
  label: string
  /** Names the list among all that has been loaded; what it is filtered by belongs into it. */
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
  /** What can be searched for, where that is not plain. */
  searchHint?: string
  /** What a row unfolds to. */
  detailsOf?: (row: Row) => ReactNode
  actionsOf?: (row: Row) => RowAction[]
  /** Filters beside the search. */
  filters?: ReactNode
  isFiltered?: boolean
  /** What stands at the other end of the search: the way to add a row. */
  end?: ReactNode
  empty: { icon?: IconName; title: string; hint?: string; action?: ReactNode }
  refetchMs?: number
}

function Heading<Row, Sort extends string>({
  column,
  sorting,
  onSort,
}: {
  column: Column<Row, Sort>
  sorting: Sorting | undefined
  onSort: (key: string) => void
}) {
  const say = useText()
  const isSorted = sorting?.key === column.key
  const className = [column.isNumber && 'end', column.isSecondary && 'wide-only'].filter(Boolean).join(' ')
  if (!column.sortBy && !column.sort)
    return (
      <th scope="col" className={className}>
        <span>{column.title}</span>
      </th>
    )
  return (
    <th
      scope="col"
      className={className}
      aria-sort={isSorted ? (sorting.isDescending ? 'descending' : 'ascending') : 'none'}
    >
      <button
        type="button"
        title={say('list.sort', { column: column.title })}
        onClick={() => onSort(column.key)}
      >
        {column.title}
        {isSorted && <Icon name={sorting.isDescending ? 'down' : 'up'} size={11} />}
      </button>
    </th>
  )
}

function RowMenu({ name, actions }: { name: string; actions: RowAction[] }) {
  const say = useText()
  if (actions.length === 0) return null
  return (
    <Menu position="bottom-end" width={220}>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={say('actions.of', { name })}>
          <Icon name="more" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {actions.map(({ label, icon, isDestructive, onChoose }) => (
          <Menu.Item
            key={label}
            leftSection={<Icon name={icon} size={14} />}
            onClick={onChoose}
            {...(isDestructive ? { className: 'danger' } : {})}
          >
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

function Waiting({ columns }: { columns: number }) {
  return Array.from({ length: 5 }, (_, row) => (
    <tr key={row}>
      {Array.from({ length: columns }, (_cell, cell) => (
        <td key={cell}>
          <Skeleton height={10} my={5} width={cell === 0 ? '60%' : '40%'} />
        </td>
      ))}
    </tr>
  ))
}

interface DataRowProps<Row, Sort extends string> extends Pick<
  Props<Row, Sort>,
  'columns' | 'detailsOf' | 'actionsOf'
> {
  row: Row
  name: string
}

function DataRow<Row, Sort extends string>({
  row,
  name,
  columns,
  detailsOf,
  actionsOf,
}: DataRowProps<Row, Sort>) {
  const say = useText()
  const [isUnfolded, setUnfolded] = useState(false)
  return (
    <>
      <tr>
        {detailsOf && (
          <td className="tight unfold">
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-expanded={isUnfolded}
              aria-label={say('list.details.of', { name })}
              onClick={() => setUnfolded(!isUnfolded)}
            >
              <Icon name={isUnfolded ? 'down' : 'right'} size={14} />
            </ActionIcon>
          </td>
        )}
        {columns.map((column) => (
          <td
            key={column.key}
            className={[column.isNumber && 'end number', column.isSecondary && 'wide-only']
              .filter(Boolean)
              .join(' ')}
          >
            {column.show(row)}
          </td>
        ))}
        {actionsOf && (
          <td className="tight">
            <RowMenu name={name} actions={actionsOf(row)} />
          </td>
        )}
      </tr>
      {detailsOf && isUnfolded && (
        <tr className="unfolded">
          <td colSpan={columns.length + (actionsOf ? 2 : 1)}>{detailsOf(row)}</td>
        </tr>
      )}
    </>
  )
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
      ? [...matching].sort(compareBy(sorted.sortBy, sorting.isDescending))
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
                    <Heading key={column.key} column={column} sorting={sorting} onSort={sortAnew} />
                  ))}
                  {actionsOf && (
                    <th scope="col">
                      <span className="visually-hidden">{say('actions')}</span>
                    </th>
                  )}
                </tr>
              </thead>
              <tbody>
                {isPending && <Waiting columns={width} />}
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
          {!isPending &&
            rows.length === 0 &&
            (wanted ? (
              <Empty
                icon="search"
                title={say('list.noMatch', { search: wanted })}
                hint={say('list.noMatch.hint')}
                action={
                  <Button variant="default" size="xs" onClick={() => setTyped('')}>
                    {say('list.clear')}
                  </Button>
                }
              />
            ) : isFiltered ? (
              <Empty icon="search" title={say('list.noFilter')} hint={say('list.noFilter.hint')} />
            ) : (
              <Empty {...empty} />
            ))}
          {rows.length > 0 && (
            <div className="list-foot">
              <span aria-live="polite">
                {isLoadingAll
                  ? say('list.loadingAll', { count: loaded.length })
                  : say(query.hasNextPage ? 'list.shown.more' : 'list.all', { count: rows.length })}
              </span>
              {query.isFetchingNextPage ? (
                <Loader size="xs" />
              ) : (
                query.hasNextPage && (
                  <Button size="compact-xs" variant="default" onClick={() => void query.fetchNextPage()}>
                    {say('list.more')}
                  </Button>
                )
              )}
            </div>
          )}
        </section>
      )}
    </>
  )
}
