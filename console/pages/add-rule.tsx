import { Select, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { Rule } from '../api/realms'
import { FormDialog } from '../parts/form-dialog'
import { useText } from '../texts/language'
import { newDraft, type Draft } from './rule-drafts'
import { contexts } from './rule-table'

/** Asks for the context and the item of a new rule. */
export function AddRule({
  drafts,
  onAdd,
  onClose,
}: {
  drafts: Draft[]
  onAdd: (draft: Draft) => void
  onClose: () => void
}) {
  const say = useText()
  const [context, setContext] = useState<Rule['context']>('RESOURCE')
  const [item, setItem] = useState('')
  const wanted = item.trim() || null
  const isThere = drafts.some((one) => one.context === context && one.item === wanted && !one.isRemoved)
  return (
    <FormDialog
      title={say('rule.add')}
      action={say('rule.add')}
      onClose={onClose}
      onSubmit={() => {
        if (!isThere) onAdd(newDraft(context, wanted))
        return Promise.resolve()
      }}
    >
      <Select
        label={say('rule.context')}
        data={[...contexts]}
        value={context}
        onChange={(value) => setContext(contexts.find((one) => one === value) ?? 'RESOURCE')}
        allowDeselect={false}
      />
      <TextInput
        label={say('rule.item')}
        description={say('rule.item.hint')}
        value={item}
        onChange={(event) => setItem(event.currentTarget.value)}
        pattern="[\w\-]+(\.[\w\-]+)*"
        classNames={{ input: 'mono' }}
        data-autofocus
      />
    </FormDialog>
  )
}
