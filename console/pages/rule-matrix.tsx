import { Alert, Button, Group, Text } from '@mantine/core'
import { useState } from 'react'
import type { Role, Rule } from '../api/realms'
import { useConfirm } from '../parts/confirm'
import { Empty } from '../parts/empty'
import { Icon } from '../parts/icons'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useUnsaved } from '../parts/unsaved'
import { useText } from '../texts/language'
import { AddRule } from './add-rule'
import {
  draftOf,
  draftsOn,
  isChanged,
  saveDrafts,
  tryDrafts,
  type Draft,
  type RuleSource,
} from './rule-drafts'
import { RuleTable } from './rule-table'

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
          notifyDone(
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
          <RuleTable drafts={drafts} isReadOnly={!mayChange} onChange={change} />
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
