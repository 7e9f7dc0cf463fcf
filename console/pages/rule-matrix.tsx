import { ActionIcon, Alert, Button, Group, Select, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { Role, Rule } from '../api/realms'
import { useConfirm } from '../parts/confirm'
import { Empty } from '../parts/empty'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { actions, levels, type Grant, type Level } from '../parts/levels'
import { receiptOf, tellDone } from '../parts/receipts'
import { useUnsaved } from '../parts/unsaved'
import { useText } from '../texts/language'
import {
  draftOf,
  draftsOn,
  isChanged,
  newDraft,
  saveDrafts,
  tryDrafts,
  type Draft,
  type RuleSource,
} from './rule-drafts'

const contexts = ['RESOURCE', 'DATA', 'UI'] as const

function Cell({
  label,
  value,
  was,
  isReadOnly,
  onChange,
}: {
  label: string
  value: Level
  was: Level | undefined
  isReadOnly: boolean
  onChange: (level: Level) => void
}) {
  const say = useText()
  return (
    <select
      className={`level level-${value}${was !== undefined && was !== value ? ' is-changed' : ''}`}
      aria-label={label}
      value={value}
      disabled={isReadOnly}
      onChange={(event) => {
        const level = levels.find((one) => one === event.currentTarget.value)
        if (level) onChange(level)
      }}
    >
      {levels.map((one) => (
        <option key={one} value={one}>
          {say(`level.${one}`)}
        </option>
      ))}
    </select>
  )
}

function DraftRow({
  draft,
  isReadOnly,
  onChange,
}: {
  draft: Draft
  isReadOnly: boolean
  onChange: (change: Partial<Draft>) => void
}) {
  const say = useText()
  const { context, grant, before, isRemoved } = draft
  const item = draft.item ?? say('rule.item.all')
  const set = (change: Partial<Grant>) => onChange({ grant: { ...grant, ...change } })
  const isFixed = isReadOnly || isRemoved
  return (
    <tr className={isRemoved ? 'is-removed' : before ? '' : 'is-new'}>
      <th scope="row">
        <span className="mono">{draft.item ?? '*'}</span>
        {draft.item === null && <span className="sub">{item}</span>}
      </th>
      <td>
        <input
          type="checkbox"
          aria-label={say('rule.cell', { action: say('rule.view'), item: `${context} ${item}` })}
          checked={grant.view}
          disabled={isFixed}
          onChange={(event) => set({ view: event.currentTarget.checked })}
          className={before && before.view !== grant.view ? 'is-changed' : ''}
        />
      </td>
      {actions.map((action) => (
        <td key={action}>
          <Cell
            label={say('rule.cell', { action: say(`rule.${action}`), item: `${context} ${item}` })}
            value={grant[action]}
            was={before?.[action]}
            isReadOnly={isFixed}
            onChange={(level) => set({ [action]: level })}
          />
        </td>
      ))}
      <td className="tight">
        {!isReadOnly && (
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={say(isRemoved ? 'rule.restore' : 'rule.remove', { item: `${context} ${item}` })}
            onClick={() => onChange({ isRemoved: !isRemoved })}
          >
            <Icon name={isRemoved ? 'refresh' : 'trash'} size={14} />
          </ActionIcon>
        )}
      </td>
    </tr>
  )
}

function AddRule({
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

function Matrix({
  drafts,
  isReadOnly,
  onChange,
}: {
  drafts: Draft[]
  isReadOnly: boolean
  onChange: (key: string, change: Partial<Draft>) => void
}) {
  const say = useText()
  const shown = contexts
    .map((context) => [context, drafts.filter((draft) => draft.context === context)] as const)
    .filter(([, inside]) => inside.length > 0)
  return (
    <div className="list-scroll">
      <table className="matrix">
        <thead>
          <tr>
            <th scope="col">
              <span>{say('rule.item')}</span>
            </th>
            {(['view', ...actions] as const).map((action) => (
              <th key={action} scope="col">
                <span>{say(`rule.${action}`)}</span>
              </th>
            ))}
            <th scope="col">
              <span className="visually-hidden">{say('actions')}</span>
            </th>
          </tr>
        </thead>
        {shown.map(([context, inside]) => (
          <tbody key={context}>
            <tr className="matrix-context">
              <th scope="rowgroup" colSpan={7}>
                {context}
              </th>
            </tr>
            {inside.map((draft) => (
              <DraftRow
                key={draft.key}
                draft={draft}
                isReadOnly={isReadOnly}
                onChange={(change) => onChange(draft.key, change)}
              />
            ))}
          </tbody>
        ))}
      </table>
    </div>
  )
}

interface Props {
  role: Role
  rules: Rule[]
  source: RuleSource
  mayChange: boolean
  onSaved: () => Promise<void>
}

/** A role's rules as a table: edit, see what that would change, then save. */
export function RuleMatrix({ role, rules, source, mayChange, onSaved }: Props) {
  const say = useText()
  const [ask, dialog] = useConfirm()
  const [{ drafts, on, isOverlaid }, setState] = useState(() => ({
    drafts: rules.map(draftOf),
    on: rules,
    isOverlaid: false,
  }))
  const setDrafts = (next: (before: Draft[]) => Draft[]) =>
    setState((before) => ({ ...before, drafts: next(before.drafts) }))
  if (on !== rules) {
    // loaded anew: what is being edited stays
    setState((before) => {
      const next = draftsOn(rules, before.drafts)
      return {
        drafts: next.drafts,
        on: rules,
        isOverlaid: (before.isOverlaid || next.isOverlaid) && next.drafts.some(isChanged),
      }
    })
  }
  const [isAdding, setAdding] = useState(false)
  const changed = drafts.filter(isChanged)
  useUnsaved(() => changed.length > 0)
  const preview = () =>
    ask({
      title: say('rules.preview.title', { name: role.label }),
      hint: say('rules.preview.hint'),
      action: say('save'),
      isHarmless: true,
      preview: () => tryDrafts(source, role.id, drafts),
      redo: () => void onSaved(),
      onConfirm: async () => {
        try {
          tellDone(
            say('rules.saved', { name: role.label }),
            receiptOf(await saveDrafts(source, role.id, drafts)),
          )
        } finally {
          await onSaved()
        }
      },
    })
  const change = (key: string, what: Partial<Draft>) =>
    setDrafts((before) =>
      before
        .map((draft) => (draft.key === key ? { ...draft, ...what } : draft))
        .filter((draft) => draft.before !== undefined || !draft.isRemoved),
    )
  const add = (
    <Button
      variant={drafts.length === 0 ? 'filled' : 'default'}
      size="xs"
      leftSection={<Icon name="plus" size={14} />}
      onClick={() => setAdding(true)}
    >
      {say('rule.add')}
    </Button>
  )
  return (
    <>
      {isOverlaid && changed.length > 0 && (
        <Alert color="yellow" variant="light" mb="sm" role="status">
          {say('changed.takenOver')}
        </Alert>
      )}
      <section className="card list" aria-label={say('rules')}>
        {drafts.length === 0 ? (
          <Empty
            icon="shield"
            title={say('rules.empty')}
            hint={say('rules.empty.hint')}
            action={mayChange && add}
          />
        ) : (
          <Matrix drafts={drafts} isReadOnly={!mayChange} onChange={change} />
        )}
        {mayChange && drafts.length > 0 && (
          <div className="list-foot">
            {add}
            <Group gap="xs" aria-live="polite">
              {changed.length > 0 && (
                <Text size="xs">
                  {say('rules.changed', {
                    count: changed.length,
                  })}
                </Text>
              )}
              <Button
                size="xs"
                variant="default"
                disabled={changed.length === 0}
                onClick={() => setDrafts(() => rules.map(draftOf))}
              >
                {say('rules.discard')}
              </Button>
              <Button size="xs" disabled={changed.length === 0} onClick={preview}>
                {say('rules.preview')}
              </Button>
            </Group>
          </div>
        )}
      </section>
      {dialog}
      {isAdding && (
        <AddRule
          drafts={drafts}
          onClose={() => setAdding(false)}
          onAdd={(draft) => setDrafts((before) => [...before.filter((one) => one.key !== draft.key), draft])}
        />
      )}
    </>
  )
}
