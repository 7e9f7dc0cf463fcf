import { Button } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { rolesOf, type Realm, type Role } from '../api/realms'
import { useSession } from '../app/session'
import { blocking, FaultNote } from '../parts/fault'
import { useEdited } from '../parts/edited'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { NameField } from '../parts/name-field'
import { PageHead } from '../parts/page-head'
import { notifyDone } from '../parts/receipts'
import { Waiting } from '../parts/waiting'
import { useText } from '../texts/language'
import type { RuleSource } from './rule-drafts'
import { RuleMatrix } from './rule-matrix'

function RenameRole({
  role,
  source,
  onClose,
  onDone,
}: {
  role: Role
  source: RuleSource
  onClose: () => void
  onDone: () => Promise<void>
}) {
  const say = useText()
  const {
    seen,
    fields: { label },
    set,
    takeOver,
  } = useEdited(role, (item: Role) => ({ label: item.label }))
  const rename = async () => {
    await source.rename(seen, label.trim())
    notifyDone(say('role.saved', { name: label.trim() }))
    await onDone()
  }
  return (
    <FormDialog
      title={say('role.rename')}
      action={say('save')}
      onSubmit={rename}
      onClose={onClose}
      onTakeOver={takeOver}
    >
      <NameField label={say('label')} value={label} onChange={(label) => set({ label })} />
    </FormDialog>
  )
}

function OneRole({ realm, id }: { realm: Realm; id: string }) {
  const say = useText()
  const queries = useQueryClient()
  const { mandateId } = useSession()
  const [isRenaming, setRenaming] = useState(false)
  const source = rolesOf(realm)
  const key = [realm, realm === 'mandate' ? mandateId : '', 'roles', 'one', id]
  const role = useQuery({ queryKey: key, queryFn: () => source.get(id) })
  const rules = useQuery({ queryKey: [...key, 'rules'], queryFn: () => source.rules(id) })
  const backTo = { href: realm === 'mandate' ? '/roles' : '/all-roles', label: say('roles') }
  const error = blocking(role) ?? blocking(rules)
  if (error)
    return (
      <>
        <PageHead title={say('role')} backTo={backTo} />
        <FaultNote error={error} onRetry={() => void Promise.all([role.refetch(), rules.refetch()])} />
      </>
    )
  if (!role.data || !rules.data) return <Waiting />
  const mayChange = realm === 'platform' || role.data.scope !== 'global'
  return (
    <>
      <PageHead
        title={role.data.label}
        hint={
          mayChange ? `${say(`role.scope.${role.data.scope}`)} · ${say('rules.leave')}` : say('role.isGlobal')
        }
        backTo={backTo}
        actions={
          mayChange && (
            <Button
              variant="default"
              leftSection={<Icon name="edit" size={14} />}
              onClick={() => setRenaming(true)}
            >
              {say('role.rename')}
            </Button>
          )
        }
      />
      <RuleMatrix
        key={id}
        role={role.data}
        rules={rules.data.items}
        source={source}
        mayChange={mayChange}
        onSaved={() => queries.invalidateQueries({ queryKey: key })}
      />
      {isRenaming && (
        <RenameRole
          role={role.data}
          source={source}
          onClose={() => setRenaming(false)}
          onDone={() => queries.invalidateQueries({ queryKey: key.slice(0, 3) })}
        />
      )}
    </>
  )
}

export const RolePage = ({ id }: { id: string }) => <OneRole realm="mandate" id={id} />
export const AnyRolePage = ({ id }: { id: string }) => <OneRole realm="platform" id={id} />
