import { Button, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api, edit, previewOf } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { useEdited } from '../parts/edited'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'

type Feature = components['schemas']['Feature']

function FeatureForm({
  feature,
  onClose,
  onDone,
}: {
  feature?: Feature
  onClose: () => void
  onDone: (text: string, answer: object) => Promise<void>
}) {
  const say = useText()
  const {
    seen,
    fields: { code, label },
    set,
    takeOver,
  } = useEdited(feature, (item?: Feature) => ({ code: item?.code ?? '', label: item?.label ?? '' }))
  const save = async () => {
    const name = label.trim()
    const answer = await answerOf<object>(
      seen
        ? edit(seen).PATCH('/admin/features/{code}', {
            params: { path: { code: seen.code } },
            body: { label: name },
          })
        : api.POST('/admin/features', { body: { code: code.trim(), label: name } }),
    )
    await onDone(say(seen ? 'feature.saved' : 'feature.made', { name }), answer)
  }
  return (
    <FormDialog
      title={say(seen ? 'feature.edit' : 'feature.new')}
      action={say(seen ? 'save' : 'create')}
      onSubmit={save}
      onClose={onClose}
      onTakeOver={takeOver}
    >
      <TextInput
        label={say('feature.code')}
        description={say('feature.code.hint')}
        required
        disabled={seen !== undefined}
        value={code}
        onChange={(event) => set({ code: event.currentTarget.value })}
        autoComplete="off"
        spellCheck={false}
        classNames={{ input: 'mono' }}
        {...(seen ? {} : { 'data-autofocus': true })}
      />
      <TextInput
        label={say('label')}
        required
        value={label}
        onChange={(event) => set({ label: event.currentTarget.value })}
        {...(seen ? { 'data-autofocus': true } : {})}
      />
    </FormDialog>
  )
}

/** The features that mandates can have instances of. */
export function Features() {
  const say = useText()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const [editing, setEditing] = useState<Feature | 'new'>()
  const done = async (text: string, answer: object) => {
    notifyDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: ['features'] })
  }
  const remove = ({ code, ...seen }: Feature, dryRun: '0' | '1') =>
    answerOf(edit(seen).DELETE('/admin/features/{code}', { params: { path: { code }, query: { dryRun } } }))
  const askToRemove = (feature: Feature) =>
    ask({
      title: say('feature.delete', { name: feature.label }),
      hint: say('feature.delete.hint'),
      action: say('delete'),
      preview: () => previewOf(remove(feature, '1')),
      onConfirm: async () =>
        done(say('feature.deleted', { name: feature.label }), await remove(feature, '0')),
      redo: (now) => askToRemove({ ...feature, ...now }),
    })
  return (
    <>
      <PageHead
        title={say('features')}
        hint={say('features.hint')}
        actions={
          <Button leftSection={<Icon name="plus" />} onClick={() => setEditing('new')}>
            {say('feature.new')}
          </Button>
        }
      />
      <List<Feature>
        label={say('features')}
        queryKey={['features', 'list']}
        idOf={(one) => one.code}
        nameOf={(one) => one.label}
        search={(one) => `${one.code} ${one.label}`}
        load={({ limit, cursor }) =>
          answerOf(
            api.GET('/admin/features', { params: { query: { limit, ...(cursor ? { cursor } : {}) } } }),
          )
        }
        empty={{ icon: 'box', title: say('features.empty'), hint: say('features.empty.hint') }}
        columns={[
          {
            key: 'label',
            title: say('feature'),
            sortBy: (one) => one.label,
            show: (one) => <b className="break">{one.label}</b>,
          },
          {
            key: 'code',
            title: say('feature.code'),
            sortBy: (one) => one.code,
            show: (one) => <span className="mono">{one.code}</span>,
          },
        ]}
        actionsOf={(one) => [
          { label: say('edit'), icon: 'edit', onChoose: () => setEditing(one) },
          { label: say('delete'), icon: 'trash', isDestructive: true, onChoose: () => askToRemove(one) },
        ]}
      />
      {dialog}
      {editing && (
        <FeatureForm
          {...(editing === 'new' ? {} : { feature: editing })}
          onClose={() => setEditing(undefined)}
          onDone={done}
        />
      )}
    </>
  )
}
