import { Alert, Button, Group, Text } from '@mantine/core'
import { ChangedError } from '../api/as-seen'
import { ProblemError } from '../../packages/client/src/index'
import { detailInGerman } from '../texts/details'
import { nameOfField } from '../texts/fields'
import { isTextKey, useLanguage, useText, type TextKey } from '../texts/language'

/** Codes of which the gateway itself says more, in one case or another, than the code does. */
const spoken = new Set([
  'conflict',
  'validation_failed',
  'not_found',
  'permission_denied',
  'sysadmin_required',
  'sign_in_invalid',
  'sign_in_refused',
])
/** What it says in English where its words do not fit a page. */
const plainer: Record<string, TextKey> = {
  'There is nothing with this id': 'problem.not_found',
  'This contradicts what is already stored': 'problem.conflict',
  'The body is not valid': 'problem.validation_failed',
  'The query is not valid': 'problem.validation_failed',
}

interface Told {
  code: string
  detail: string
  /** In English, where there are no words for it in the language of the page. */
  more?: string
  requestId: string
  errors: { path: string; name: string; message: string }[]
}

/** Puts any error into words. */
export function useFault(): (error: unknown) => Told {
  const say = useText()
  const language = useLanguage()
  const detailOf = (code: string, detail: string): Pick<Told, 'detail' | 'more'> => {
    const key = `problem.${code}`
    if (!isTextKey(key)) return { detail }
    if (!spoken.has(code)) return { detail: say(key) }
    if (language === 'en') return { detail: plainer[detail] ? say(plainer[detail]) : detail }
    const translated = detailInGerman(detail)
    return translated === undefined ? { detail: say(key), more: detail } : { detail: translated }
  }
  return (error) => {
    if (error instanceof ChangedError)
      return {
        code: 'changed_meanwhile',
        detail: say('problem.changed_meanwhile'),
        requestId: '',
        errors: [],
      }
    if (!(error instanceof ProblemError))
      return { code: 'network', detail: say('fault.network'), requestId: '', errors: [] }
    const { code, detail, requestId, errors = [] } = error.problem
    return {
      code,
      ...detailOf(code, detail),
      requestId,
      errors: errors.map(({ path, message }) => {
        const name = nameOfField(path)
        return {
          path,
          name: name ? say(name) : path,
          message: language === 'de' ? (detailInGerman(message) ?? message) : message,
        }
      }),
    }
  }
}

/** Whether something failed that works again by itself: the gateway, its database, or the way there. */
export const isOutage = (error: unknown): boolean =>
  error !== null &&
  error !== undefined &&
  !(error instanceof ChangedError) &&
  (!(error instanceof ProblemError) || error.status >= 500)

/**
 * The error that stands in place of what was asked for. What was seen before an outage can be seen on; what
 * was taken away cannot.
 */
export const blocking = ({ data, error }: { data: unknown; error: Error | null }): Error | null =>
  data !== undefined && isOutage(error) ? null : error

/**
 * An error where something should have been: what happened, what to do, and the id by which it can be looked
 * up.
 */
export function FaultNote({
  error,
  title,
  onRetry,
}: {
  error: unknown
  title?: string
  onRetry?: () => void
}) {
  const say = useText()
  const { code, detail, more, requestId, errors } = useFault()(error)
  const denied = code === 'permission_denied'
  return (
    <Alert
      color={denied ? 'yellow' : 'red'}
      variant="light"
      title={title ?? say(denied ? 'fault.denied' : 'fault.title')}
      role="alert"
    >
      <Text size="sm">{detail}</Text>
      {more && (
        <Text size="sm" c="dimmed" lang="en">
          {more}
        </Text>
      )}
      {denied && <Text size="sm">{say('fault.denied.hint')}</Text>}
      {errors.length > 0 && (
        <ul>
          {errors.map(({ path, name, message }) => (
            <li key={path + message}>
              <b>{name}</b> {message}
            </li>
          ))}
        </ul>
      )}
      {(requestId || onRetry) && (
        <Group mt="xs" justify="space-between" gap="xs">
          <Text size="xs" c="dimmed" className="mono">
            {requestId && say('requestId', { id: requestId })}
          </Text>
          {onRetry && (
            <Button size="xs" variant="default" onClick={onRetry}>
              {say('retry')}
            </Button>
          )}
        </Group>
      )}
    </Alert>
  )
}
