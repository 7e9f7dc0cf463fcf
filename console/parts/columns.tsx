import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import type { Column } from './list-row'
import { EnabledState } from './state'

/** Returns the columns that most lists have: when an item was created, and whether it is enabled. */
export function useColumns() {
  const say = useText()
  const { date } = useFormat()
  return {
    created: <Row,>(timeOf: (row: Row) => string, title = say('user.created')): Column<Row> => ({
      key: 'created',
      title,
      sortBy: timeOf,
      isSecondary: true,
      show: (row) => date(timeOf(row)),
    }),
    state: <Row,>(isEnabled: (row: Row) => boolean): Column<Row> => ({
      key: 'state',
      title: say('state'),
      sortBy: (row) => Number(isEnabled(row)),
      show: (row) => <EnabledState enabled={isEnabled(row)} />,
    }),
  }
}
