import { Button } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from 'wouter'
import { answerOf, api, unversioned } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { List } from '../parts/list'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type Issued = components['schemas']['Issued']

interface Props {
  id: string
  /** The admin's name. */
  name: string
  /** Whether to say so where there is nothing. */
  saysNothing: boolean
}

const withdrawAll = (id: string, dryRun: '0' | '1') =>
  answerOf(unversioned.DELETE('/admin/users/{id}/issued', { params: { path: { id }, query: { dryRun } } }))
/** Returns whether it is used again and again: a link works once, and an account is no credential. */
const isUsed = ({ kind }: Issued) => kind !== 'firstAccess' && kind !== 'serviceAccount'
const isProgram = ({ kind }: Issued) => kind !== 'firstAccess'

/** The credentials that an admin issued, and the button that withdraws all of them. */
export function IssuedBy({ id, name, saysNothing }: Props) {
  const say = useText()
  const { ago, dateTime } = useFormat()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const queryKey = ['users', 'issued', id]
  const load = (query: { limit: string; cursor?: string }) =>
    answerOf(api.GET('/admin/users/{id}/issued', { params: { path: { id }, query } }))
  const { data: first } = useQuery({ queryKey: [...queryKey, 'first'], queryFn: () => load({ limit: '1' }) })
  if (!first || (first.items.length === 0 && !saysNothing)) return null

  const askToWithdraw = async () => {
    const { links, secrets, keys, tokens } = await withdrawAll(id, '1')
    ask({
      title: say('issued.withdraw.title', { name }),
      action: say('issued.withdraw'),
      hint: (
        <>
          <p>{say('issued.withdraw.counts', { links, secrets, keys, tokens })}</p>
          <p>{say('issued.withdraw.hint')}</p>
        </>
      ),
      onConfirm: async () => {
        notifyDone(say('issued.withdrawn', { name }), receiptOf(await withdrawAll(id, '0')))
        await queries.invalidateQueries({ queryKey })
      },
    })
  }
  return (
    <>
      <div className="section-head">
        <div>
          <h2 className="section">{say('issued')}</h2>
          <p>{say('issued.hint')}</p>
        </div>
        {first.items.length > 0 && (
          <Button variant="default" onClick={() => void askToWithdraw()}>
            {say('issued.withdraw')}
          </Button>
        )}
      </div>
      <List<Issued>
        label={say('issued')}
        queryKey={queryKey}
        idOf={(one) => one.id}
        nameOf={(one) => one.label ?? one.username}
        load={load}
        empty={{ icon: 'key', title: say('issued.empty'), hint: say('issued.empty.hint') }}
        columns={[
          {
            key: 'kind',
            title: say('issued.kind'),
            sortBy: (one) => one.kind,
            show: (one) => (
              <>
                <b>{say(`issued.kind.${one.kind}`)}</b>
                <span className="sub break">{one.label}</span>
              </>
            ),
          },
          {
            key: 'for',
            title: say('openLink.for'),
            sortBy: (one) => one.username,
            show: (one) => (
              <Link
                className="row-link"
                href={`/${isProgram(one) ? 'service-accounts' : 'users'}/${one.userId}`}
              >
                {one.username}
              </Link>
            ),
          },
          {
            key: 'made',
            title: say('openLink.made'),
            sortBy: (one) => one.createdAt,
            isSecondary: true,
            show: (one) => dateTime(one.createdAt),
          },
          {
            key: 'used',
            title: say('credential.used'),
            sortBy: (one) => one.lastUsedAt,
            isSecondary: true,
            show: (one) =>
              one.lastUsedAt ? (
                <span title={dateTime(one.lastUsedAt)}>{ago(one.lastUsedAt)}</span>
              ) : (
                <span className="soft">{isUsed(one) ? say('never') : '–'}</span>
              ),
          },
          {
            key: 'until',
            title: say('openLink.until'),
            sortBy: (one) => one.expiresAt,
            show: (one) =>
              one.expiresAt ? dateTime(one.expiresAt) : <span className="soft">{say('issued.noEnd')}</span>,
          },
        ]}
      />
      {dialog}
    </>
  )
}
