import { Button, Select } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useSearchParams } from 'wouter'
import { answerOf, api, unversioned } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { State } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type Token = components['schemas']['TokenRow']
const statuses = ['active', 'expired', 'revoked'] as const
type Status = (typeof statuses)[number]
const purposes = ['auth_session', 'api_token', 'data_connection'] as const
type Purpose = (typeof purposes)[number]
const kinds = { active: 'good', expired: 'idle', revoked: 'bad' } as const

const statusOf = ({ status, expired }: Token): Status =>
  status === 'revoked' ? 'revoked' : expired ? 'expired' : 'active'

/** The rows of all issued tokens, as SysAdmins see and revoke them. */
export function Tokens() {
  const say = useText()
  const { dateTime } = useFormat()
  const queries = useQueryClient()
  const [params, setParams] = useSearchParams()
  const session = params.get('session')
  const [ask, dialog] = useConfirm()
  const [status, setStatus] = useState<Status | null>(session ? null : 'active')
  const [purpose, setPurpose] = useState<Purpose | null>(null)
  const revoke = async ({ id, username }: Token) => {
    notifyDone(
      say('token.isRevoked', { name: username }),
      receiptOf(await answerOf(unversioned.DELETE('/system/tokens/{id}', { params: { path: { id } } }))),
    )
    await queries.invalidateQueries({ queryKey: ['tokens'] })
  }
  const filter = {
    ...(status ? { status } : {}),
    ...(purpose ? { purpose } : {}),
    ...(session ? { session } : {}),
  }
  return (
    <>
      <PageHead title={say('tokens')} hint={say('tokens.hint')} />
      <List<Token>
        label={say('tokens')}
        queryKey={['tokens', filter]}
        idOf={(token) => token.id}
        nameOf={(token) => `${token.username}, ${token.id}`}
        search="server"
        searchHint={say('tokens.search')}
        load={(query) => answerOf(api.GET('/system/tokens', { params: { query: { ...query, ...filter } } }))}
        empty={{ icon: 'key', title: say('tokens.empty'), hint: say('tokens.empty.hint') }}
        isFiltered={Object.keys(filter).length > 0}
        filters={
          <>
            <Select<Status>
              aria-label={say('token.status')}
              placeholder={say('token.status')}
              clearable
              w={140}
              value={status}
              onChange={setStatus}
              data={statuses.map((one) => ({ value: one, label: say(`token.status.${one}`) }))}
            />
            <Select<Purpose>
              aria-label={say('token.purpose')}
              placeholder={say('token.purpose')}
              clearable
              w={180}
              value={purpose}
              onChange={setPurpose}
              data={purposes.map((one) => ({ value: one, label: say(`token.purpose.${one}`) }))}
            />
            {session && (
              <Button
                variant="light"
                rightSection={<Icon name="cross" size={13} />}
                aria-label={`${say('tokens.ofSession')}: ${say('remove')}`}
                onClick={() => setParams(new URLSearchParams())}
              >
                {say('tokens.ofSession')}
              </Button>
            )}
          </>
        }
        columns={[
          {
            key: 'user',
            title: say('user'),
            sortBy: (one) => one.username,
            show: (one) => (
              <>
                <b>{one.username}</b>
                <span className="sub mono" title={one.id}>
                  {one.id.slice(0, 8)}
                </span>
              </>
            ),
          },
          {
            key: 'purpose',
            title: say('token.purpose'),
            sortBy: (one) => one.purpose,
            show: (one) => (
              <>
                {say(`token.purpose.${one.purpose}`)}
                <span className="sub">{one.label}</span>
              </>
            ),
          },
          {
            key: 'issued',
            title: say('token.issued'),
            sortBy: (one) => one.issuedAt,
            isSecondary: true,
            show: (one) => dateTime(one.issuedAt),
          },
          {
            key: 'expires',
            title: say('token.expires'),
            sortBy: (one) => one.expiresAt,
            isSecondary: true,
            show: (one) => (one.expiresAt ? dateTime(one.expiresAt) : say('never')),
          },
          {
            key: 'status',
            title: say('token.status'),
            sortBy: statusOf,
            show: (one) => <State kind={kinds[statusOf(one)]}>{say(`token.status.${statusOf(one)}`)}</State>,
          },
        ]}
        actionsOf={(token) =>
          token.status === 'revoked'
            ? []
            : [
                {
                  label: say('token.revoke'),
                  icon: 'cross',
                  isDestructive: true,
                  onChoose: () =>
                    ask({
                      title: say('token.revoke.title', { name: token.username }),
                      hint: say('token.revoke.hint'),
                      action: say('token.revoke'),
                      onConfirm: () => revoke(token),
                    }),
                },
              ]
        }
      />
      {dialog}
    </>
  )
}
