import { Group, Select, Switch, TextInput } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api, unversioned } from '../api/client'
import type { components } from '../api/schema'
import { Empty } from '../parts/empty'
import { blocking, FaultNote } from '../parts/fault'
import { Icon } from '../parts/icons'
import { PageHead } from '../parts/page-head'
import { notifyDone } from '../parts/receipts'
import { State } from '../parts/state'
import { Waiting } from '../parts/waiting'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type Line = components['schemas']['LogLine']
const levels = ['error', 'warn', 'info', 'debug'] as const
type Level = (typeof levels)[number]
const levelOf = (value: string | null) => levels.find((one) => one === value)
const kinds = { error: 'bad', warn: 'warn', info: 'good', debug: 'idle' } as const

/** Returns the head of a log line: the request and its status, or the message. */
function headOf({ message, fields: { method, route, path, status, ms } }: Line): string {
  const where = route ?? path
  return message === 'request' && typeof method === 'string' && typeof where === 'string'
    ? `${method} ${where} ${String(status)}, ${String(ms)} ms`
    : message
}

const inHead = new Set(['method', 'route', 'status', 'ms'])

function LogLine({ line }: { line: Line }) {
  const { time } = useFormat()
  const { timestamp, level, message, fields } = line
  const rest = Object.entries(fields)
    .filter(([name]) => message !== 'request' || !inHead.has(name))
    .filter(([, value]) => value !== null && value !== undefined)
  return (
    <tr>
      <td className="nowrap number">{time(timestamp)}</td>
      <td>
        <State kind={kinds[level]}>{level}</State>
      </td>
      <td>
        {headOf(line)}
        {rest.length > 0 && (
          <span className="sub mono break">
            {rest
              .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
              .join(' ')}
          </span>
        )}
      </td>
    </tr>
  )
}

/** The latest log lines of the process that answers. */
export function Logs() {
  const say = useText()
  const queries = useQueryClient()
  const [level, setLevel] = useState<Level>()
  const [typed, setTyped] = useState('')
  const [text] = useDebouncedValue(typed.trim(), 250)
  const [isFollowing, setFollowing] = useState(true)
  const query = { limit: '200', ...(level ? { level } : {}), ...(text ? { text } : {}) }
  const { data, refetch, ...asked } = useQuery({
    queryKey: ['logs', level, text],
    queryFn: () => answerOf(api.GET('/system/logs', { params: { query } })),
    refetchInterval: isFollowing ? 2000 : false,
    placeholderData: (before) => before,
  })
  const error = blocking({ data, error: asked.error })
  const setWritten = async (wanted: Level) => {
    await answerOf(unversioned.PUT('/system/logs', { body: { level: wanted } }))
    notifyDone(say('logs.level.set', { level: wanted }))
    await queries.invalidateQueries({ queryKey: ['logs'] })
  }
  return (
    <>
      <PageHead
        title={say('logs')}
        hint={say('logs.hint')}
        actions={
          data && (
            <Select
              label={say('logs.level.of')}
              size="xs"
              w={150}
              allowDeselect={false}
              data={[...levels]}
              value={data.level}
              onChange={(value) => void setWritten(levelOf(value) ?? 'info')}
            />
          )
        }
      />
      <div className="tool-bar" role="search">
        <TextInput
          type="search"
          aria-label={say('list.search')}
          placeholder={say('list.search')}
          leftSection={<Icon name="search" size={14} />}
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          w={{ base: '100%', xs: 260 }}
        />
        <Select
          aria-label={say('logs.level')}
          placeholder={say('logs.level')}
          clearable
          w={130}
          data={[...levels]}
          value={level ?? null}
          onChange={(value) => setLevel(levelOf(value))}
        />
        <Switch
          label={say('logs.follow')}
          checked={isFollowing}
          onChange={(event) => setFollowing(event.currentTarget.checked)}
          size="sm"
        />
      </div>
      {error ? (
        <FaultNote error={error} onRetry={() => void refetch()} />
      ) : !data ? (
        <Waiting />
      ) : (
        <section className="card list log" aria-label={say('logs')}>
          <div className="list-scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">
                    <span>{say('logs.time')}</span>
                  </th>
                  <th scope="col">
                    <span>{say('logs.level')}</span>
                  </th>
                  <th scope="col">
                    <span>{say('logs.message')}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {data.items.map((line, index) => (
                  <LogLine key={`${line.timestamp} ${index}`} line={line} />
                ))}
              </tbody>
            </table>
          </div>
          {data.items.length === 0 && (
            <Empty icon="file" title={say('logs.empty')} hint={say('logs.empty.hint')} />
          )}
          <Group className="list-foot">{say('list.all', { count: data.items.length })}</Group>
        </section>
      )}
    </>
  )
}
