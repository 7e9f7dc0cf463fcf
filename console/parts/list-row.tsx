import { ActionIcon, Menu, Skeleton } from '@mantine/core'
import { useState, type ReactNode } from 'react'
import { useText } from '../texts/language'
import { ActionEntries, type Action } from './actions'
import { Icon } from './icons'
import type { Sorting } from './rows'

export interface Column<Row, Sort extends string = never> {
  key: string
  title: string
  show: (row: Row) => ReactNode
  /** The endpoint's name for this order. */
  sort?: Sort
  /** The value that the console sorts by, where the endpoint does not sort. */
  sortBy?: (row: Row) => string | number | null
  /** Left out on phones. */
  isSecondary?: boolean
  isNumber?: boolean
}

/** The heading of a column, by which the list is sorted where it can be. */
export function ColumnHeading<Row, Sort extends string>({
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

function RowMenu({ name, actions }: { name: string; actions: Action[] }) {
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
        <ActionEntries actions={actions} />
      </Menu.Dropdown>
    </Menu>
  )
}

/** Rows in place of those that are being loaded. */
export function WaitingRows({ columns }: { columns: number }) {
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

interface DataRowProps<Row, Sort extends string> {
  row: Row
  name: string
  columns: Column<Row, Sort>[]
  detailsOf: ((row: Row) => ReactNode) | undefined
  actionsOf: ((row: Row) => Action[]) | undefined
}

/** A row of a list, with its menu and what it unfolds to. */
export function DataRow<Row, Sort extends string>({
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
