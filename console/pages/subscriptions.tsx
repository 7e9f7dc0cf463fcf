import { Button, NumberInput, Stack, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import { answerOf, api, edit, previewOf } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { useEdited } from '../parts/edited'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { QuotaBar } from '../parts/quota-bar'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { MandateSelect } from './mandate-select'

type Subscription = components['schemas']['Subscription']
type Quotas = Pick<Subscription, 'requestsPerMonth' | 'members' | 'instances'>

const quotaNames = [
  ['requestsPerMonth', 'billing.requests'],
  ['members', 'members'],
  ['instances', 'instances'],
] as const

/**
 * What a mandate uses now, beside what it would be allowed: so that nobody is sold less than they have
 * without noticing.
 */
function UseOf({ mandateId, quotas }: { mandateId: string; quotas: Quotas }) {
  const say = useText()
  const { data: bill } = useQuery({
    queryKey: ['billing', 'of', mandateId],
    queryFn: async () =>
      (await answerOf(api.GET('/admin/billing', { params: { query: { mandateId } } }))).items[0] ?? null,
  })
  const used = {
    requestsPerMonth: bill?.requests ?? 0,
    members: bill?.members ?? 0,
    instances: bill?.instances ?? 0,
  }
  if (!bill) return null
  return (
    <div className="effect">
      <b>{say('subscription.use')}</b>
      <dl className="facts">
        {quotaNames.map(([name, text]) => (
          <div key={name} className="fact">
            <dt>{say(text)}</dt>
            <dd>
              <QuotaBar label={say(text)} used={used[name]} quota={quotas[name]} />
            </dd>
          </div>
        ))}
      </dl>
    </div>
  )
}

function SubscriptionForm({ subscription, onClose }: { subscription?: Subscription; onClose: () => void }) {
  const say = useText()
  const queries = useQueryClient()
  const [mandateId, setMandate] = useState(subscription?.mandateId ?? null)
  const { seen, fields, set, takeOver } = useEdited(subscription, (item?: Subscription) => ({
    plan: item?.plan ?? '',
    requestsPerMonth: item?.requestsPerMonth ?? null,
    members: item?.members ?? null,
    instances: item?.instances ?? null,
  }))
  const { plan, ...quotas } = fields
  const save = async () => {
    const body = { plan: plan.trim(), ...quotas }
    const answer = await answerOf<object>(
      seen
        ? edit(seen).PATCH('/admin/subscriptions/{id}', { params: { path: { id: seen.mandateId } }, body })
        : api.POST('/admin/subscriptions', { body: { mandateId: mandateId ?? '', ...body } }),
    )
    notifyDone(say('subscription.saved'), receiptOf(answer))
    await Promise.all(
      ['subscriptions', 'billing'].map((key) => queries.invalidateQueries({ queryKey: [key] })),
    )
  }
  return (
    <FormDialog
      title={subscription ? say('subscription.edit', { name: subscription.label }) : say('subscription.new')}
      action={say(subscription ? 'save' : 'create')}
      onSubmit={save}
      onClose={onClose}
      onTakeOver={takeOver}
    >
      {!subscription && <MandateSelect isField value={mandateId} onChange={setMandate} />}
      <TextInput
        label={say('subscription.plan')}
        description={say('subscription.plan.hint')}
        required
        value={plan}
        onChange={(event) => set({ plan: event.currentTarget.value })}
        {...(subscription ? { 'data-autofocus': true } : {})}
      />
      <Stack gap="sm">
        {quotaNames.map(([name, text]) => (
          <NumberInput
            key={name}
            label={say(text)}
            placeholder={say('quota.none')}
            min={0}
            max={name === 'requestsPerMonth' ? Number.MAX_SAFE_INTEGER : 2_147_483_647}
            allowDecimal={false}
            allowNegative={false}
            thousandSeparator=" "
            hideControls
            value={quotas[name] ?? ''}
            onChange={(value) => set({ [name]: value === '' ? null : Number(value) })}
          />
        ))}
      </Stack>
      {mandateId && <UseOf mandateId={mandateId} quotas={quotas} />}
    </FormDialog>
  )
}

/** The subscriptions of mandates. */
export function Subscriptions() {
  const say = useText()
  const { number, date } = useFormat()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const [editing, setEditing] = useState<Subscription | 'new'>()
  const end = ({ mandateId: id, ...seen }: Subscription, dryRun: '0' | '1') =>
    answerOf<object>(
      edit(seen).DELETE('/admin/subscriptions/{id}', { params: { path: { id }, query: { dryRun } } }),
    )
  const askToEnd = (one: Subscription) =>
    ask({
      title: say('subscription.end.title', { name: one.label }),
      hint: say('subscription.end.hint'),
      action: say('subscription.end'),
      preview: () => previewOf(end(one, '1')),
      onConfirm: async () => {
        notifyDone(say('subscription.ended', { name: one.label }), receiptOf(await end(one, '0')))
        await Promise.all(
          ['subscriptions', 'billing'].map((key) => queries.invalidateQueries({ queryKey: [key] })),
        )
      },
      redo: (now) => askToEnd({ ...one, ...now }),
    })
  const limit = (value: number | null) =>
    value === null ? <span className="soft">{say('quota.none')}</span> : number(value)
  return (
    <>
      <PageHead
        title={say('subscriptions')}
        hint={say('subscriptions.hint')}
        actions={
          <Button leftSection={<Icon name="plus" />} onClick={() => setEditing('new')}>
            {say('subscription.new')}
          </Button>
        }
      />
      <List<Subscription>
        label={say('subscriptions')}
        queryKey={['subscriptions']}
        idOf={(one) => one.mandateId}
        nameOf={(one) => one.label}
        search={(one) => `${one.label} ${one.slug} ${one.plan}`}
        load={({ limit: size, cursor }) =>
          answerOf(
            api.GET('/admin/subscriptions', {
              params: { query: { limit: size, ...(cursor ? { cursor } : {}) } },
            }),
          )
        }
        empty={{ icon: 'card', title: say('subscriptions.empty'), hint: say('subscriptions.empty.hint') }}
        columns={[
          {
            key: 'mandate',
            title: say('mandate'),
            sortBy: (one) => one.label,
            show: (one) => (
              <>
                <Link className="row-link break" href={`/mandates/${one.mandateId}`}>
                  {one.label}
                </Link>
                <span className="sub mono">{one.slug}</span>
              </>
            ),
          },
          {
            key: 'plan',
            title: say('subscription.plan'),
            sortBy: (one) => one.plan,
            show: (one) => one.plan,
          },
          {
            key: 'requests',
            title: say('billing.requests'),
            isNumber: true,
            sortBy: (one) => one.requestsPerMonth,
            show: (one) => limit(one.requestsPerMonth),
          },
          {
            key: 'members',
            title: say('members'),
            isNumber: true,
            isSecondary: true,
            sortBy: (one) => one.members,
            show: (one) => limit(one.members),
          },
          {
            key: 'instances',
            title: say('instances'),
            isNumber: true,
            isSecondary: true,
            sortBy: (one) => one.instances,
            show: (one) => limit(one.instances),
          },
          {
            key: 'since',
            title: say('member.since'),
            isSecondary: true,
            sortBy: (one) => one.createdAt,
            show: (one) => date(one.createdAt),
          },
        ]}
        actionsOf={(one) => [
          { label: say('edit'), icon: 'edit', onChoose: () => setEditing(one) },
          {
            label: say('subscription.end'),
            icon: 'trash',
            isDestructive: true,
            onChoose: () => askToEnd(one),
          },
        ]}
      />
      {dialog}
      {editing && (
        <SubscriptionForm
          {...(editing === 'new' ? {} : { subscription: editing })}
          onClose={() => setEditing(undefined)}
        />
      )}
    </>
  )
}
