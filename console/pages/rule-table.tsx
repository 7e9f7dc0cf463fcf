import { ActionIcon } from '@mantine/core'
import { Icon } from '../parts/icons'
import { actions, levels, type Grant, type Level } from '../parts/levels'
import { useText } from '../texts/language'
import type { Draft } from './rule-drafts'

/** What rules are about, in the order of the table. */
export const contexts = ['RESOURCE', 'DATA', 'UI'] as const

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

/** The rules of a role as a table, one row for each item. */
export function RuleTable({
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
