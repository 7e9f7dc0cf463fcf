import { Button, Select, TextInput } from '@mantine/core'
import type { Realm } from '../api/realms'
import { Icon } from '../parts/icons'
import { useActionName, useText } from '../texts/language'
import { rangeNames, type Activity, type Filters, type Range } from './audit-source'
import { MandateChoice, PersonChoice } from './choices'

interface BarProps {
  realm: Realm
  filters: Filters
  set: (change: Partial<Filters>) => void
  actions: Activity['actions']
}

/** The filters of the audit's events: time, person, mandate, action and request. */
export function AuditFilters({ realm, filters, set, actions }: BarProps) {
  const say = useText()
  const nameOfAction = useActionName()
  const { range, from, to, user, mandate, action, requestId } = filters
  const choices = actions.map((one) => ({
    value: one.action,
    label: say('audit.action.count', { action: nameOfAction(one.action), count: one.count }),
  }))
  const known =
    action !== null && !choices.some((one) => one.value === action)
      ? [{ value: action, label: nameOfAction(action) }]
      : []
  return (
    <div className="tool-bar" role="search" aria-label={say('audit')}>
      <Select<Range>
        aria-label={say('audit.range')}
        allowDeselect={false}
        w={170}
        value={range}
        onChange={(value) => set({ range: value ?? 'day', askedAt: Date.now() })}
        data={rangeNames.map((one) => ({ value: one, label: say(`audit.range.${one}`) }))}
      />
      {range === 'own' && (
        <>
          <TextInput
            type="datetime-local"
            aria-label={say('audit.from')}
            value={from}
            onChange={(event) => set({ from: event.currentTarget.value })}
          />
          <TextInput
            type="datetime-local"
            aria-label={say('audit.to')}
            value={to}
            onChange={(event) => set({ to: event.currentTarget.value })}
          />
        </>
      )}
      <PersonChoice
        realm={realm}
        by="id"
        isLabelHidden
        width={210}
        value={user}
        onChange={(value) => set({ user: value })}
      />
      {realm === 'platform' && (
        <MandateChoice
          system={say('audit.platform')}
          isLabelHidden
          width={190}
          value={mandate}
          onChange={(value) => set({ mandate: value })}
        />
      )}
      <Select
        aria-label={say('audit.action')}
        placeholder={say('audit.action')}
        clearable
        searchable
        w={{ base: '100%', xs: 230 }}
        value={action}
        onChange={(value) => set({ action: value })}
        data={[...known, ...choices]}
        nothingFoundMessage={say('choice.nothing')}
      />
      {requestId && (
        <Button
          variant="light"
          rightSection={<Icon name="cross" size={13} />}
          aria-label={`${say('audit.request.only')}: ${say('remove')}`}
          onClick={() => set({ requestId: null })}
        >
          {say('audit.request.only')}
        </Button>
      )}
      <Button
        variant="default"
        leftSection={<Icon name="refresh" size={14} />}
        onClick={() => set({ askedAt: Date.now() })}
      >
        {say('reload')}
      </Button>
    </div>
  )
}
