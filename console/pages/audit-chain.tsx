import { Button, Popover, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { answerOf, api } from '../api/client'
import { State } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

/** Shows whether the audit chain is intact, and how far it goes. */
export function ChainBadge() {
  const say = useText()
  const { time, dateTime } = useFormat()
  const { data: chain } = useQuery({
    queryKey: ['audit chain'],
    queryFn: () => answerOf(api.GET('/admin/audit/chain')),
    refetchInterval: 30_000,
  })
  if (!chain) return null
  const { intact, sealed, pending, verifiedAt, verifiedFrom, lastCheckpoint, faults } = chain
  const kind = !intact ? 'bad' : sealed === 0 ? 'idle' : 'good'
  return (
    <Popover position="bottom-end" width={360} shadow="md" withArrow>
      <Popover.Target>
        <Button variant="default">
          <State kind={kind}>
            {say(!intact ? 'audit.chain.broken' : sealed === 0 ? 'audit.chain.empty' : 'audit.chain.intact')}
          </State>
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label={say('audit.chain')}>
        <dl className="facts">
          <dt>{say('audit.chain.sealed')}</dt>
          <dd>{say('audit.chain.sealed.of', { count: sealed })}</dd>
          <dt>{say('audit.chain.pending')}</dt>
          <dd>{say('audit.chain.sealed.of', { count: pending })}</dd>
          <dt>{say('audit.chain.verified')}</dt>
          <dd>{say('audit.chain.verified.of', { from: verifiedFrom, time: time(verifiedAt) })}</dd>
          {lastCheckpoint && (
            <>
              <dt>{say('audit.chain.checkpoint')}</dt>
              <dd>
                {say('audit.chain.checkpoint.of', {
                  position: lastCheckpoint.position,
                  time: dateTime(lastCheckpoint.sealedAt),
                })}
              </dd>
            </>
          )}
        </dl>
        {faults.length > 0 && (
          <ul>
            {faults.map((fault) => (
              <li key={fault}>{fault}</li>
            ))}
          </ul>
        )}
        <Text size="xs" c="dimmed" mt="sm">
          {say(intact ? 'audit.chain.help' : 'audit.chain.broken.help')}
        </Text>
      </Popover.Dropdown>
    </Popover>
  )
}
