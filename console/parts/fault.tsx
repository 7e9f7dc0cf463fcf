import { Alert, Button, Group, Text } from '@mantine/core'
import { ProblemError, type Fault } from '../../packages/client/src/index'
import { useText } from '../texts/language'
import type { TextKey } from '../texts/texts'

/** What is said of an error, by its code; of others what the gateway itself says. */
const sayings: Record<string, TextKey> = {
  authentication_unavailable: 'fault.unavailable', directory_unavailable: 'fault.unavailable',
  changed_meanwhile: 'fault.changed', rate_limited: 'fault.limited',
}

interface Told {
  code: string
  detail: string
  requestId: string
  errors: Fault[]
}

/** Puts any error into words. */
export function useFault(): (error: unknown) => Told {
  const say = useText()
  return (error) => {
    if (!(error instanceof ProblemError)) return { code: 'network', detail: say('fault.network'), requestId: '', errors: [] }
    const { code, detail, requestId, errors = [] } = error.problem
    const saying = sayings[code]
    return { code, detail: saying ? say(saying) : detail, requestId, errors }
  }
}

/** An error where something should have been: what happened, what to do, and the id by which it can be looked up. */
export function FaultNote({ error, title, onRetry }: { error: unknown; title?: string; onRetry?: () => void }) {
  const say = useText()
  const { code, detail, requestId, errors } = useFault()(error)
  const denied = code === 'permission_denied'
  return (
    <Alert color={denied ? 'yellow' : 'red'} variant="light" title={title ?? say(denied ? 'fault.denied' : 'fault.title')} role="alert">
      <Text size="sm">{detail}</Text>
      {denied && <Text size="sm">{say('fault.denied.hint')}</Text>}
      {errors.length > 0 && <ul>{errors.map(({ path, message }) => <li key={path + message}><span className="mono">{path}</span> {message}</li>)}</ul>}
      {(requestId || onRetry) && (
        <Group mt="xs" justify="space-between" gap="xs">
          <Text size="xs" c="dimmed" className="mono">{requestId && say('requestId', { id: requestId })}</Text>
          {onRetry && <Button size="xs" variant="default" onClick={onRetry}>{say('retry')}</Button>}
        </Group>
      )}
    </Alert>
  )
}
