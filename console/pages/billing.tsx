import { Select } from '@mantine/core'
import { useState } from 'react'
import { Link } from 'wouter'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import { DownloadMenu } from '../parts/download-menu'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { QuotaBar } from '../parts/quota-bar'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { MandateSelect } from './mandate-select'

type Bill = components['schemas']['Bill']

/** Returns the current month and earlier ones (UTC). */
function latestMonths(count: number): string[] {
  const now = new Date()
  return Array.from({ length: count }, (_, back) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1)).toISOString().slice(0, 7),
  )
}

/** The use of mandates in a month against their quotas. */
export function Billing() {
  const say = useText()
  const { number, month: monthName } = useFormat()
  const months = latestMonths(13)
  const [month, setMonth] = useState(months[0] ?? '')
  const [mandateId, setMandate] = useState<string | null>(null)
  const query = { month, ...(mandateId ? { mandateId } : {}) }
  return (
    <>
      <PageHead
        title={say('billing')}
        hint={say('billing.hint')}
        actions={<DownloadMenu path="/admin/billing" query={query} name={`billing-${month}`} />}
      />
      <List<Bill>
        label={say('billing')}
        queryKey={['billing', query]}
        idOf={(one) => one.mandateId}
        nameOf={(one) => one.label ?? one.mandateId}
        isFiltered={mandateId !== null}
        load={({ limit, cursor }) =>
          answerOf(
            api.GET('/admin/billing', {
              params: { query: { ...query, limit, ...(cursor ? { cursor } : {}) } },
            }),
          )
        }
        empty={{ icon: 'card', title: say('billing.empty'), hint: say('billing.empty.hint') }}
        filters={
          <>
            <Select
              aria-label={say('billing.month')}
              allowDeselect={false}
              w={{ base: '100%', xs: 190 }}
              data={months.map((value) => ({ value, label: monthName(value) }))}
              value={month}
              onChange={(value) => setMonth(value ?? month)}
            />
            <MandateSelect value={mandateId} onChange={setMandate} />
          </>
        }
        columns={[
          {
            key: 'mandate',
            title: say('mandate'),
            sortBy: (one) => one.label,
            show: (one) =>
              one.label === null ? (
                <span className="soft">
                  {say('usage.gone')}
                  <span className="sub mono break">{one.mandateId}</span>
                </span>
              ) : (
                <>
                  <Link className="row-link break" href={`/mandates/${one.mandateId}`}>
                    {one.label}
                  </Link>
                  <span className="sub">{one.plan ?? say('billing.noPlan')}</span>
                </>
              ),
          },
          {
            key: 'requests',
            title: say('billing.requests'),
            sortBy: (one) => one.requests,
            show: (one) => (
              <QuotaBar label={say('billing.requests')} used={one.requests} quota={one.requestsQuota} />
            ),
          },
          {
            key: 'members',
            title: say('members'),
            isSecondary: true,
            sortBy: (one) => one.members,
            show: (one) => <QuotaBar label={say('members')} used={one.members} quota={one.membersQuota} />,
          },
          {
            key: 'instances',
            title: say('instances'),
            isSecondary: true,
            sortBy: (one) => one.instances,
            show: (one) => (
              <QuotaBar label={say('instances')} used={one.instances} quota={one.instancesQuota} />
            ),
          },
          {
            key: 'over',
            title: say('billing.over'),
            isNumber: true,
            isSecondary: true,
            sortBy: (one) => one.requestsOver,
            show: (one) => number(one.requestsOver),
          },
          {
            key: 'denials',
            title: say('usage.denials.short'),
            isNumber: true,
            isSecondary: true,
            sortBy: (one) => one.denials,
            show: (one) => number(one.denials),
          },
        ]}
      />
    </>
  )
}
