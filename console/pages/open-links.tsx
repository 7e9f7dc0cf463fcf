import { useQueryClient } from '@tanstack/react-query'
import { Link } from 'wouter'
import { answerOf, api, unversioned } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type OpenLink = components['schemas']['OpenFirstAccess']

function Issuer({ link: { issuedBy, issuedByUsername } }: { link: OpenLink }) {
  const say = useText()
  if (issuedBy === null) return <span className="soft">{say('openLink.by.commandLine')}</span>
  if (issuedByUsername !== null)
    return (
      <Link className="row-link" href={`/users/${issuedBy}`}>
        {issuedByUsername}
      </Link>
    )
  // whose page shows what else they issued
  return (
    <Link className="row-link" href={`/users/${issuedBy}`} title={issuedBy}>
      {say('openLink.by.gone')}
    </Link>
  )
}

/** The links to a first password that still work, as platform admins see and withdraw them. */
export function OpenLinks() {
  const say = useText()
  const { ago, dateTime } = useFormat()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const withdraw = async ({ id, username: name }: OpenLink) => {
    notifyDone(
      say('openLink.withdrawn', { name }),
      receiptOf(
        await answerOf(
          unversioned.DELETE('/admin/first-access/{id}', {
            params: { path: { id }, query: { dryRun: '0' } },
          }),
        ),
      ),
    )
    await queries.invalidateQueries({ queryKey: ['open links'] })
  }
  return (
    <>
      <PageHead title={say('openLinks')} hint={say('openLinks.hint')} />
      <List<OpenLink>
        label={say('openLinks')}
        queryKey={['open links']}
        idOf={(link) => link.id}
        nameOf={(link) => link.username}
        load={(query) => answerOf(api.GET('/admin/first-access', { params: { query } }))}
        empty={{ icon: 'link', title: say('openLinks.empty'), hint: say('openLinks.empty.hint') }}
        columns={[
          {
            key: 'for',
            title: say('openLink.for'),
            sortBy: (link) => link.username,
            show: (link) => (
              <Link className="row-link" href={`/users/${link.userId}`}>
                {link.username}
              </Link>
            ),
          },
          {
            key: 'by',
            title: say('openLink.by'),
            sortBy: (link) => link.issuedByUsername,
            show: (link) => <Issuer link={link} />,
          },
          {
            key: 'made',
            title: say('openLink.made'),
            sortBy: (link) => link.createdAt,
            isSecondary: true,
            show: (link) => dateTime(link.createdAt),
          },
          {
            key: 'until',
            title: say('openLink.until'),
            sortBy: (link) => link.expiresAt,
            show: (link) => <span title={dateTime(link.expiresAt)}>{ago(link.expiresAt)}</span>,
          },
        ]}
        actionsOf={(link) => [
          {
            label: say('openLink.withdraw'),
            icon: 'cross',
            isDestructive: true,
            onChoose: () =>
              ask({
                title: say('openLink.withdraw.title', { name: link.username }),
                hint: say('openLink.withdraw.hint'),
                action: say('openLink.withdraw'),
                onConfirm: () => withdraw(link),
              }),
          },
        ]}
      />
      {dialog}
    </>
  )
}
