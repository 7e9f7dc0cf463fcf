import { Group, Loader, Text } from '@mantine/core'
import type { UseQueryResult } from '@tanstack/react-query'
import type { components } from '../api/schema'
import { useText } from '../texts/language'
import { FaultNote } from './fault'
import { Icon } from './icons'
import { isSame, useGrantText } from './levels'

export type Preview = components['schemas']['Preview']

type Shift = Preview['permissions']['items'][number]

const shownShifts = 8

function ShiftRow({ shift: { username, context, item, before, after } }: { shift: Shift }) {
  const inWords = useGrantText()
  return (
    <tr>
      <td>
        <b>{username}</b>
        <span className="sub mono">
          {context} {item ?? '*'}
        </span>
      </td>
      <td>
        {isSame(before, after) ? (
          inWords(after)
        ) : (
          <>
            <span className="before">{inWords(before)}</span> <Icon name="right" size={11} />{' '}
            <span>{inWords(after)}</span>
          </>
        )}
      </td>
    </tr>
  )
}

function Changes({ preview: { sessions, tokens, permissions } }: { preview: Preview }) {
  const say = useText()
  const more = permissions.count - Math.min(permissions.items.length, shownShifts) + permissions.unseen
  const isNothing = sessions.count + tokens.count + permissions.count === 0
  return (
    <div className="effect" role="region" aria-label={say('effect')} tabIndex={0}>
      <Text size="sm" fw={600}>
        {say('effect')}
      </Text>
      {isNothing && (
        <Text size="sm" c="dimmed">
          {say('effect.nothing')}
        </Text>
      )}
      {sessions.count + tokens.count > 0 && (
        <Text size="sm">{say('effect.sessions', { sessions: sessions.count, tokens: tokens.count })}</Text>
      )}
      {permissions.count > 0 && (
        <>
          <Text size="sm">
            {say('effect.permissions', {
              count: permissions.count,
            })}
          </Text>
          <table>
            <tbody>
              {permissions.items.slice(0, shownShifts).map((one) => (
                <ShiftRow
                  key={`${one.userId} ${one.mandateId} ${one.instanceId ?? ''} ${one.context} ${one.item ?? ''}`}
                  shift={one}
                />
              ))}
            </tbody>
          </table>
          {more > 0 && (
            <Text size="xs" c="dimmed">
              {say('effect.more', { count: more })}
            </Text>
          )}
        </>
      )}
    </div>
  )
}

/** Shows the result of a dry run. */
export function Effect({
  tried,
}: {
  tried: Pick<UseQueryResult<Preview | null>, 'data' | 'error' | 'isPending'>
}) {
  const say = useText()
  if (tried.error) return <FaultNote error={tried.error} />
  if (!tried.data)
    return (
      <Group gap="xs">
        <Loader size="xs" />
        <Text size="sm" c="dimmed">
          {say('effect.loading')}
        </Text>
      </Group>
    )
  return <Changes preview={tried.data} />
}
