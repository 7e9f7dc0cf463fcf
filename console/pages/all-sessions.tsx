import { Select } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useLocation } from 'wouter'
import { answerOf, api, unversioned } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { State } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { useSessionColumns } from './session-columns'

type Session = components['schemas']['SessionRow']
const statuses = ['active', 'ended'] as const
type Status = (typeof statuses)[number]

/** Every session of the platform, as SysAdmins see and end them. */
export function AllSessions() {
  const say = useText()
  const { dateTime } = useFormat()
  const queries = useQueryClient()
  const [, go] = useLocation()
  const [ask, dialog] = useConfirm()
  const [status, setStatus] = useState<Status | null>('active')
  const columns = useSessionColumns()
  const end = async ({ id }: Session) => {
    notifyDone(
      say('session.ended'),
      receiptOf(await answerOf(unversioned.DELETE('/system/sessions/{id}', { params: { path: { id } } }))),
    )
    await queries.invalidateQueries({ queryKey: ['all sessions'] })
  }
  return (
    <>
      <PageHead title={say('sessions')} hint={say('allSessions.hint')} />
      <List<Session>
        label={say('sessions')}
        queryKey={['all sessions', status]}
        idOf={(session) => session.id}
        nameOf={(session) => session.username}
        search="server"
        searchHint={say('allSessions.search')}
        load={(query) =>
          answerOf(
            api.GET('/system/sessions', { params: { query: { ...query, ...(status ? { status } : {}) } } }),
          )
        }
        empty={{ icon: 'clock', title: say('allSessions.empty'), hint: say('sessions.empty.hint') }}
        isFiltered={status !== null}
        filters={
          <Select<Status>
            aria-label={say('session.status')}
            placeholder={say('all')}
            clearable
            w={150}
            value={status}
            onChange={setStatus}
            data={statuses.map((one) => ({ value: one, label: say(`session.status.${one}`) }))}
          />
        }
        columns={[
          {
            key: 'user',
            title: say('user'),
            sortBy: (one) => one.username,
            show: (one) => <b>{one.username}</b>,
          },
          ...columns,
          {
            key: 'state',
            title: say('state'),
            isSecondary: true,
            sortBy: (one) => one.endedAt ?? '',
            show: (one) =>
              one.endedAt ? (
                <span title={dateTime(one.endedAt)}>
                  <State kind="idle">{say('session.hasEnded')}</State>
                </span>
              ) : (
                <State kind="good">{say('session.isRunning')}</State>
              ),
          },
        ]}
        actionsOf={(session) => [
          {
            label: say('allSessions.tokens'),
            icon: 'key',
            onChoose: () => go(`/tokens?session=${session.id}`),
          },
          ...(session.endedAt
            ? []
            : [
                {
                  label: say('session.end'),
                  icon: 'exit' as const,
                  isDestructive: true,
                  onChoose: () =>
                    ask({
                      title: say('session.end.of', { name: session.username }),
                      hint: say('session.end.hint'),
                      action: say('session.end'),
                      onConfirm: () => end(session),
                    }),
                },
              ]),
        ]}
      />
      {dialog}
    </>
  )
}
