import { Select } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api } from '../api/client'
import { useText } from '../texts/language'

interface Props {
  value: string | null
  onChange: (id: string | null) => void
  /** Its label as a field of a form. Without one it is a filter. */
  isField?: boolean
}

/** A choice of one of the platform's mandates, with a search. */
export function MandateSelect({ value, onChange, isField = false }: Props) {
  const say = useText()
  const [typed, setTyped] = useState('')
  const [chosen, setChosen] = useState<{ value: string; label: string }>()
  const [q] = useDebouncedValue(typed.trim() === chosen?.label ? '' : typed.trim(), 200)
  const { data: found = [], isFetching } = useQuery({
    queryKey: ['mandates', 'choice', q],
    placeholderData: keepPreviousData,
    queryFn: async () =>
      (
        await answerOf(
          api.GET('/admin/mandates', { params: { query: { limit: '50', ...(q ? { q } : {}) } } }),
        )
      ).items.map((one) => ({ value: one.id, label: one.label })),
  })
  const data = chosen && !found.some((one) => one.value === chosen.value) ? [chosen, ...found] : found
  return (
    <Select
      {...(isField
        ? { label: say('mandate'), required: true }
        : {
            'aria-label': say('mandate'),
            placeholder: say('usage.allMandates'),
            clearable: true,
            w: { base: '100%', xs: 220 },
          })}
      searchable
      nothingFoundMessage={isFetching ? say('list.loading') : say('list.noMatch', { search: typed })}
      data={data}
      value={value}
      searchValue={typed}
      onSearchChange={setTyped}
      onChange={(id, option) => {
        setChosen(option ?? undefined)
        onChange(id)
      }}
    />
  )
}
