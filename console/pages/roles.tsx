import { Button, Select } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import { answerOf, api, previewOf } from '../api/client'
import { instancesOf, rolesOf, type Realm, type Role } from '../api/realms'
import { useSession } from '../app/session'
import { useConfirm } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { NameField } from '../parts/name-field'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

/** The mandates and instances that roles belong to, by id. */
function usePlaces(realm: Realm) {
  const { mandateId } = useSession()
  const { data: instances = [] } = useQuery({
    queryKey: [realm, mandateId, 'instances', 'choice'],
    retry: false,
    queryFn: async () => (await instancesOf(realm).list({ limit: '200' })).items,
  })
  const { data: mandates = [] } = useQuery({
    queryKey: ['mandates', 'choice'],
    enabled: realm === 'platform',
    queryFn: async () =>
      (await answerOf(api.GET('/admin/mandates', { params: { query: { limit: '200' } } }))).items,
  })
  return { instances, mandates }
}

function NewRole({
  realm,
  onClose,
  onMade,
}: {
  realm: Realm
  onClose: () => void
  onMade: (label: string) => Promise<void>
}) {
  const say = useText()
  const { instances, mandates } = usePlaces(realm)
  const [label, setLabel] = useState('')
  const [mandateId, setMandate] = useState<string | null>(null)
  const [featureInstanceId, setInstance] = useState<string | null>(null)
  const choices = instances.filter((one) => realm === 'mandate' || one.mandateId === mandateId)
  const make = async () => {
    await rolesOf(realm).make({ label: label.trim(), mandateId, featureInstanceId })
    await onMade(label.trim())
  }
  return (
    <FormDialog title={say('role.new')} action={say('create')} onSubmit={make} onClose={onClose}>
      <NameField label={say('label')} value={label} onChange={setLabel} />
      {realm === 'platform' && (
        <Select
          label={say('mandate')}
          placeholder={say('role.mandate.none')}
          clearable
          data={mandates.map((one) => ({ value: one.id, label: one.label }))}
          value={mandateId}
          onChange={setMandate}
        />
      )}
      {choices.length > 0 && (
        <Select
          label={say('role.instance')}
          placeholder={say('role.instance.none')}
          clearable
          data={choices.map((one) => ({ value: one.id, label: one.label }))}
          value={featureInstanceId}
          onChange={setInstance}
        />
      )}
    </FormDialog>
  )
}

/** Roles of the platform, or of the mandate that this tab works in. */
function RoleList({ realm }: { realm: Realm }) {
  const say = useText()
  const { date } = useFormat()
  const queries = useQueryClient()
  const { mandateId } = useSession()
  const [ask, dialog] = useConfirm()
  const [isMaking, setMaking] = useState(false)
  const { instances, mandates } = usePlaces(realm)
  const key = [realm, realm === 'mandate' ? mandateId : '', 'roles']
  const { list, remove } = rolesOf(realm)
  const placeOf = (role: Role) =>
    instances.find((one) => one.id === role.featureInstanceId)?.label ??
    mandates.find((one) => one.id === role.mandateId)?.label
  const askToRemove = (role: Role) =>
    ask({
      title: say('role.delete', { name: role.label }),
      hint: say('role.delete.hint'),
      action: say('delete'),
      preview: () => previewOf(remove(role, '1')),
      onConfirm: async () => done(say('role.deleted', { name: role.label }), await remove(role, '0')),
      redo: (now) => askToRemove({ ...role, ...now }),
    })
  const done = async (text: string, answer: object) => {
    notifyDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: key })
  }
  return (
    <>
      <PageHead
        title={say('roles')}
        hint={say('roles.hint')}
        actions={
          <Button leftSection={<Icon name="plus" />} onClick={() => setMaking(true)}>
            {say('role.new')}
          </Button>
        }
      />
      <List<Role>
        label={say('roles')}
        queryKey={key}
        load={list}
        idOf={(role) => role.id}
        nameOf={(role) => role.label}
        search="server"
        empty={{ icon: 'shield', title: say('roles.empty'), hint: say('roles.empty.hint') }}
        columns={[
          {
            key: 'label',
            title: say('role'),
            sortBy: (role) => role.label,
            show: (role) => (
              <Link
                className="row-link"
                href={realm === 'mandate' ? `/roles/${role.id}` : `/all-roles/${role.id}`}
              >
                {role.label}
              </Link>
            ),
          },
          {
            key: 'scope',
            title: say('role.scope'),
            sortBy: (role) => role.scope,
            show: (role) => (
              <>
                {say(`role.scope.${role.scope}`)}
                <span className="sub">{role.scope === 'global' ? null : placeOf(role)}</span>
              </>
            ),
          },
          {
            key: 'created',
            title: say('user.created'),
            sortBy: (role) => role.createdAt,
            isSecondary: true,
            show: (role) => date(role.createdAt),
          },
        ]}
        actionsOf={(role) =>
          realm === 'mandate' && role.scope === 'global'
            ? []
            : [
                {
                  label: say('delete'),
                  icon: 'trash',
                  isDestructive: true,
                  onChoose: () => askToRemove(role),
                },
              ]
        }
      />
      {dialog}
      {isMaking && (
        <NewRole
          realm={realm}
          onClose={() => setMaking(false)}
          onMade={(name) => done(say('role.made', { name }), {})}
        />
      )}
    </>
  )
}

export const Roles = () => <RoleList realm="mandate" />
export const AllRoles = () => <RoleList realm="platform" />
