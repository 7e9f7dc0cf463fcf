import { Select } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { useText } from '../texts/language'

export interface Option {
  value: string
  label: string
}

interface Props {
  label: string
  /** Set where the label is not visible. */
  isLabelHidden?: boolean
  placeholder?: string
  required?: boolean
  /** The query key of the options. */
  queryKey: readonly unknown[]
  /** Returns the first options that match the search. */
  load: (search: string) => Promise<Option[]>
  /** Returns the label of a value that is not among the options. */
  nameOf?: (value: string) => Promise<string>
  value: string | null
  onChange: (value: string | null) => void
  width?: number
}

/** A choice of one among many options, which the gateway searches. */
export function Choice({
  label,
  isLabelHidden = false,
  placeholder,
  required = false,
  queryKey,
  load,
  nameOf,
  value,
  onChange,
  width,
}: Props) {
  const say = useText()
  const [typed, setTyped] = useState('')
  const [chosen, setChosen] = useState<Option>()
  const isChosenHere = chosen?.value === value
  const { data: name } = useQuery({
    queryKey: [...queryKey, 'name', value],
    queryFn: () => nameOf?.(value ?? '') ?? value,
    enabled: value !== null && !isChosenHere,
    retry: false,
  })
  const current = value === null ? undefined : isChosenHere ? chosen : { value, label: name ?? value }
  // what is chosen is no search
  const [search] = useDebouncedValue(typed === current?.label ? '' : typed.trim(), 250)
  const { data: found = [] } = useQuery({
    queryKey: [...queryKey, 'choice', search],
    queryFn: () => load(search),
    placeholderData: keepPreviousData,
  })
  const options = current ? [current, ...found.filter((one) => one.value !== value)] : found
  return (
    <Select
      {...(isLabelHidden ? { 'aria-label': label } : { label })}
      placeholder={placeholder}
      required={required}
      clearable={!required}
      searchable
      data={options}
      filter={({ options: all }) => all}
      value={value}
      searchValue={typed}
      onSearchChange={setTyped}
      nothingFoundMessage={say('choice.nothing')}
      {...(width === undefined ? {} : { w: { base: '100%', xs: width } })}
      onChange={(next) => {
        setChosen(options.find((one) => one.value === next))
        onChange(next)
      }}
    />
  )
}
