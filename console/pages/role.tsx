import { Button, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { rolesOf, type Realm } from '../api/realms'
import { useSession } from '../app/session'
import { FaultNote } from '../parts/fault'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { PageHead } from '../parts/page-head'
import { tellDone } from '../parts/receipts'
import { Waiting } from '../parts/waiting'
import { useText } from '../texts/language'
import { RuleMatrix } from './rule-matrix'

function OneRole({ realm, id }: { realm: Realm; id: string }) {
  const say = useText()
  const queries = useQueryClient()
  const { mandateId } = useSession()
  const [newLabel, setNewLabel] = useState<string>()
  const source = rolesOf(realm)
  const key = [realm, realm === 'mandate' ? mandateId : '', 'roles', 'one', id]
  const role = useQuery({ queryKey: key, queryFn: () => source.get(id) })
  const rules = useQuery({ queryKey: [...key, 'rules'], queryFn: () => source.rules(id) })
  const backTo = { href: realm === 'mandate' ? '/roles' : '/all-roles', label: say('roles') }
  const error = role.error ?? rules.error
  if (error) return <><PageHead title={say('role')} backTo={backTo} /><FaultNote error={error} onRetry={() => void Promise.all([role.refetch(), rules.refetch()])} /></>
  if (!role.data || !rules.data) return <Waiting />
  const mayChange = realm === 'platform' || role.data.scope !== 'global'
  const rename = async () => {
    await source.rename(id, newLabel?.trim() ?? '')
    tellDone(say('role.saved', { name: newLabel?.trim() ?? '' }))
    await queries.invalidateQueries({ queryKey: key.slice(0, 3) })
  }
  return (
    <>
      <PageHead title={role.data.label} hint={mayChange ? `${say(`role.scope.${role.data.scope}`)} · ${say('rules.leave')}` : say('role.isGlobal')} backTo={backTo}
        actions={mayChange && <Button variant="default" leftSection={<Icon name="edit" size={14} />} onClick={() => setNewLabel(role.data.label)}>{say('role.rename')}</Button>} />
      <RuleMatrix key={rules.dataUpdatedAt} role={role.data} rules={rules.data.items} source={source} mayChange={mayChange} onSaved={() => queries.invalidateQueries({ queryKey: key })} />
      {newLabel !== undefined && (
        <FormDialog title={say('role.rename')} action={say('save')} onSubmit={rename} onClose={() => setNewLabel(undefined)}>
          <TextInput label={say('label')} required value={newLabel} onChange={(event) => setNewLabel(event.currentTarget.value)} data-autofocus />
        </FormDialog>
      )}
    </>
  )
}

export const RolePage = ({ id }: { id: string }) => <OneRole realm="mandate" id={id} />
export const AnyRolePage = ({ id }: { id: string }) => <OneRole realm="platform" id={id} />
