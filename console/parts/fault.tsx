import { Alert, Button, Group, Text } from '@mantine/core'
import { ChangedError } from '../api/as-seen'
import { ProblemError, type Problem, type Reason } from '../../packages/client/src/index'
import { nameOfField } from '../texts/fields'
import { isTextKey, useLanguage, useReason, useText } from '../texts/language'

/** Codes whose detail says more than the code does. */
const detailed = new Set([
  'conflict',
  'not_found',
  'permission_denied',
  'sysadmin_required',
  'validation_failed',
  'sign_in_invalid',
  'sign_in_refused',
])
/** Reasons that the text of the problem's code says better in the console, where nobody typed an id. */
const general = new Set(['nothing_here', 'already_stored'])

interface Description {
  code: string
  detail: string
  /** In English, where the page's language has no text for it. */
  more?: string
  requestId: string
  errors: { path: string; name: string; message: string }[]
}

/** Returns a function that describes any error in the language of the page. */
export function useFault(): (error: unknown) => Description {
  const say = useText()
  const sayReason = useReason()
  const isEnglish = useLanguage() === 'en'
  const textOf = (one: Reason | undefined) => one && sayReason(one.code, one.values)
  const detailOf = ({ code, detail, reasons = [] }: Problem): Pick<Description, 'detail' | 'more'> => {
    const key = `problem.${code}`
    const reason = reasons.find(({ path }) => path === undefined)
    if (!isTextKey(key)) return { detail }
    const isGeneral = reason ? general.has(reason.code) : code === 'validation_failed'
    if (!detailed.has(code) || isGeneral) return { detail: say(key) }
    const translated = textOf(reason)
    if (translated !== undefined) return { detail: translated }
    return isEnglish ? { detail } : { detail: say(key), more: detail }
  }
  const errorsOf = ({ errors = [], reasons = [] }: Problem): Description['errors'] => {
    const ofFields = reasons.filter(({ path }) => path !== undefined)
    return errors.map(({ path, message }, index) => {
      const name = nameOfField(path)
      const reason = ofFields.length === errors.length ? ofFields[index] : undefined
      return { path, name: name ? say(name) : path, message: textOf(reason) ?? message }
    })
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
    const { problem } = error
    return {
      code: problem.code,
      ...detailOf(problem),
      requestId: problem.requestId,
      errors: errorsOf(problem),
    }
  }
}

/** Returns whether an error is an outage: of the gateway, its database, or the network. */
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
