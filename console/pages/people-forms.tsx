import { MultiSelect, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { Member, People } from '../api/realms'
import { FormDialog } from '../parts/form-dialog'
import { useText } from '../texts/language'
import type { Roles } from './use-roles'

function RoleChoice({
  roles,
  labelOf,
  value,
  onChange,
}: Roles & {
  value: string[]
  onChange: (ids: string[]) => void
}) {
  const say = useText()
  const known = roles.map(({ id, label, scope }) => ({
    value: id,
    label: scope === 'global' ? `${label} (${say('role.scope.global')})` : label,
  }))
  const unknown = value
    .filter((id) => !roles.some((role) => role.id === id))
    .map((id) => ({ value: id, label: labelOf(id) }))
  return (
    <MultiSelect
      label={say('member.roles')}
      data={[...known, ...unknown]}
      value={value}
      onChange={onChange}
      searchable
      clearable
      comboboxProps={{ withinPortal: true }}
      nothingFoundMessage={say('roles.empty')}
    />
  )
}

/** Asks for a person to add, and their roles. */
export function AddPerson({
  people,
  kind,
  hint,
  roles,
  labelOf,
  onClose,
  onDone,
}: Roles & {
  people: People
  kind: 'member' | 'access'
  hint?: string | undefined
  onClose: () => void
  onDone: (text: string, answer: object) => Promise<void>
}) {
  const say = useText()
  const [username, setUsername] = useState('')
  const [roleIds, setRoleIds] = useState<string[]>([])
  const name = username.trim()
  return (
    <FormDialog
      title={say(kind === 'member' ? 'member.add' : 'access.give')}
      action={say(kind === 'member' ? 'member.add' : 'access.give')}
      onClose={onClose}
      onSubmit={async () =>
        onDone(
          say(kind === 'member' ? 'member.added' : 'access.given', { name }),
          await people.add({ username: name, roleIds }),
        )
      }
    >
      <TextInput
        label={say('signIn.username')}
        description={hint}
        required
        value={username}
        onChange={(event) => setUsername(event.currentTarget.value)}
        autoComplete="off"
        data-autofocus
      />
      <RoleChoice roles={roles} labelOf={labelOf} value={roleIds} onChange={setRoleIds} />
    </FormDialog>
  )
}

/** A change of a person's roles. */
export interface RoleChange {
  member: Member
  roleIds: string[]
  /** Whether somebody else has changed them since. */
  isTakenOver?: boolean
}

/** Asks for the roles of a person. */
export function ChangeRoles({
  change: { member, isTakenOver = false, ...change },
  roles,
  labelOf,
  onClose,
  onSave,
}: Roles & {
  change: RoleChange
  onClose: () => void
  onSave: (change: RoleChange) => void
}) {
  const say = useText()
  const [roleIds, setRoleIds] = useState(change.roleIds)
  return (
    <FormDialog
      title={say('member.roles.of', { name: member.username })}
      action={say('rules.preview')}
      onClose={onClose}
      isTakenOver={isTakenOver}
      onSubmit={() => {
        onSave({ member, roleIds })
        return Promise.resolve()
      }}
    >
      <RoleChoice roles={roles} labelOf={labelOf} value={roleIds} onChange={setRoleIds} />
    </FormDialog>
  )
}
