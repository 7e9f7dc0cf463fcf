import { Alert, Button, Select, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import { answerOf, api, previewOf } from '../api/client'
import { instancesOf, type DryRun, type Instance, type Realm } from '../api/realms'
import { useSession } from '../app/session'
import { useColumns } from '../parts/columns'
import { useConfirm, type Question } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import type { Action } from '../parts/actions'
import { NameField } from '../parts/name-field'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'

/** Returns the actions of an instance. */
export function useInstanceActions(
  realm: Realm,
  ask: (question: Question) => void,
): (instance: Instance) => Action[] {
  const say = useText()
  const queries = useQueryClient()
  const { change, remove } = instancesOf(realm)
  const done = async (text: string, answer: object) => {
    notifyDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: [realm] })
  }
  type Wording = (
    name: string,
  ) => Pick<Question, 'title' | 'hint' | 'action' | 'isHarmless'> & { text: string }
  const askFirst = (
    instance: Instance,
    wording: Wording,
    run: (instance: Instance, dryRun: DryRun) => Promise<object>,
  ) => {
    const { text, ...question } = wording(instance.label)
    ask({
      ...question,
      preview: () => previewOf(run(instance, '1')),
      onConfirm: async () => done(text, await run(instance, '0')),
      redo: (now) => askFirst({ ...instance, ...now }, wording, run),
    })
  }
  const disabling: Wording = (name) => ({
    title: say('instance.disable', { name }),
    hint: say('instance.disable.hint'),
    action: say('disable'),
    text: say('instance.isDisabled', { name }),
  })
  const enabling: Wording = (name) => ({
    title: `${say('enable')}: ${name}?`,
    hint: '',
    action: say('enable'),
    isHarmless: true,
    text: say('instance.isEnabled', { name }),
  })
  const deleting: Wording = (name) => ({
    title: say('instance.delete', { name }),
    hint: say('instance.delete.hint'),
    action: say('delete'),
    text: say('instance.deleted', { name }),
  })
  return (instance) => [
    instance.enabled
      ? {
          label: say('disable'),
          icon: 'cross',
          isDestructive: true,
          onChoose: () =>
            askFirst(instance, disabling, (one, dryRun) => change(one, { enabled: false }, dryRun)),
        }
      : {
          label: say('enable'),
          icon: 'check',
          onChoose: () =>
            askFirst(instance, enabling, (one, dryRun) => change(one, { enabled: true }, dryRun)),
        },
    {
      label: say('delete'),
      icon: 'trash',
      isDestructive: true,
      onChoose: () => askFirst(instance, deleting, remove),
    },
  ]
}

function NewInstance({ realm, onClose }: { realm: Realm; onClose: () => void }) {
  const say = useText()
  const queries = useQueryClient()
  const { mandateId: own = '' } = useSession()
  const { data: features } = useQuery({
    queryKey: ['features'],
    enabled: realm === 'platform',
    queryFn: async () =>
      (await answerOf(api.GET('/admin/features', { params: { query: { limit: '200' } } }))).items,
  })
  const { data: mandates } = useQuery({
    queryKey: ['mandates', 'choice'],
    enabled: realm === 'platform',
    queryFn: async () =>
      (await answerOf(api.GET('/admin/mandates', { params: { query: { limit: '200' } } }))).items,
  })
  const [{ label, featureCode, mandateId }, setFields] = useState({
    label: '',
    featureCode: '',
    mandateId: own,
  })
  const set = (change: object) => setFields((before) => ({ ...before, ...change }))
  const make = async () => {
    await instancesOf(realm).make({ label: label.trim(), featureCode: featureCode.trim(), mandateId })
    notifyDone(say('instance.made', { name: label.trim() }))
    await queries.invalidateQueries({ queryKey: [realm] })
  }
  return (
    <FormDialog title={say('instance.new')} action={say('create')} onSubmit={make} onClose={onClose}>
      <NameField label={say('label')} value={label} onChange={(label) => set({ label })} />
      {features?.length === 0 && (
        <Alert color="yellow" variant="light">
          {say('instance.noFeatures')} <Link href="/features">{say('instance.noFeatures.make')}</Link>
        </Alert>
      )}
      {features ? (
        <Select
          label={say('instance.feature')}
          required
          data={features.map((one) => ({ value: one.code, label: one.label }))}
          value={featureCode || null}
          onChange={(value) => set({ featureCode: value ?? '' })}
        />
      ) : (
        <TextInput
          label={say('instance.feature')}
          required
          value={featureCode}
          onChange={(event) => set({ featureCode: event.currentTarget.value })}
          description={say('instance.feature.hint')}
          classNames={{ input: 'mono' }}
          placeholder="crm"
        />
      )}
      {realm === 'platform' && (
        <Select
          label={say('mandate')}
          required
          data={(mandates ?? []).map((one) => ({ value: one.id, label: one.label }))}
          value={mandateId || null}
          onChange={(value) => set({ mandateId: value ?? '' })}
        />
      )}
    </FormDialog>
  )
}

function InstanceList({ realm }: { realm: Realm }) {
  const say = useText()
  const { created, state } = useColumns()
  const { mandateId } = useSession()
  const [ask, dialog] = useConfirm()
  const [isMaking, setMaking] = useState(false)
  const actionsOf = useInstanceActions(realm, ask)
  const { list } = instancesOf(realm)
  return (
    <>
      <PageHead
        title={say('instances')}
        hint={say('instances.hint')}
        actions={
          <Button leftSection={<Icon name="plus" />} onClick={() => setMaking(true)}>
            {say('instance.new')}
          </Button>
        }
      />
      <List<Instance>
        label={say('instances')}
        queryKey={[realm, realm === 'mandate' ? mandateId : '', 'instances']}
        load={list}
        idOf={(one) => one.id}
        nameOf={(one) => one.label}
        search="server"
        empty={{ icon: 'grid', title: say('instances.empty'), hint: say('instances.empty.hint') }}
        columns={[
          {
            key: 'label',
            title: say('instance'),
            sortBy: (one) => one.label,
            show: (one) => (
              <Link
                className="row-link"
                href={realm === 'mandate' ? `/instances/${one.id}` : `/all-instances/${one.id}`}
              >
                {one.label}
              </Link>
            ),
          },
          {
            key: 'feature',
            title: say('instance.feature'),
            sortBy: (one) => one.featureCode,
            show: (one) => <span className="mono">{one.featureCode}</span>,
          },
          created((one) => one.createdAt),
          state((one) => one.enabled),
        ]}
        actionsOf={actionsOf}
      />
      {dialog}
      {isMaking && <NewInstance realm={realm} onClose={() => setMaking(false)} />}
    </>
  )
}

export const Instances = () => <InstanceList realm="mandate" />
export const AllInstances = () => <InstanceList realm="platform" />
