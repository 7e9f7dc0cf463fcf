import { Alert, Text } from '@mantine/core'
import { differences, type ChangedError } from '../api/as-seen'
import { nameOfField } from '../texts/fields'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { Icon } from './icons'
import { levels } from './levels'

const isState = (field: string) => field === 'enabled' || field === 'active'
const isLevel = (field: string) => ['read', 'create', 'update', 'delete'].includes(field)

/** Returns a function that writes the value of a field. `nameOf` names an id. */
function useWords(nameOf: (id: string) => string) {
  const say = useText()
  const { number, dateTime } = useFormat()
  const inWords = (field: string, value: unknown): string => {
    if (value === null || value === undefined || value === '') return '–'
    if (typeof value === 'boolean')
      return say(isState(field) ? (value ? 'enabled' : 'disabled') : value ? 'yes' : 'no')
    if (typeof value === 'number') return number(value)
    if (Array.isArray(value))
      return value.length === 0 ? say('none') : value.map((one) => nameOf(String(one))).join(', ')
    const level = isLevel(field) ? levels.find((one) => one === value) : undefined
    if (level) return say(`level.${level}`)
    return typeof value === 'string'
      ? field.endsWith('At')
        ? dateTime(value)
        : nameOf(value)
      : JSON.stringify(value)
  }
  return inWords
}

/** Shows, field by field, what somebody else has changed since the item was loaded. */
export function ChangedNote({
  error,
  nameOf = (id) => id,
}: {
  error: ChangedError
  nameOf?: ((id: string) => string) | undefined
}) {
  const say = useText()
  const inWords = useWords(nameOf)
  const nameIn = (field: string) => {
    const name = nameOfField(field)
    return name ? say(name) : field
  }
  return (
    <Alert color="yellow" variant="light" title={say('changed')} role="alert">
      <Text size="sm">{say('changed.hint')}</Text>
      <dl className="facts changes">
        {differences(error).map((field) => (
          <div key={field} className="fact">
            <dt>{nameIn(field)}</dt>
            <dd>
              <span className="before">{inWords(field, error.seen[field])}</span>{' '}
              <Icon name="right" size={11} /> <span>{inWords(field, error.current[field])}</span>
            </dd>
          </div>
        ))}
      </dl>
    </Alert>
  )
}
