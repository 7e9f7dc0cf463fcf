import { Badge, Button, Group, MultiSelect, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { rebased } from '../api/as-seen'
import { previewOf } from '../api/client'
import { rolesOf, type DryRun, type Member, type People, type Realm, type Role } from '../api/realms'
import { useConfirm, type Question } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { receiptOf, tellDone } from '../parts/receipts'
import { EnabledState } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

interface Props {
  people: People
  kind: 'member' | 'access'
  realm: Realm
  /** Where the roles come from that can be given. */
  mandateId: string
  instanceId?: string
  /** Whether they may be changed here. */
  mayChange?: boolean
}

/**
 * The roles that count in a place, those of its mandate and global ones, or those of an instance; and what
 * roles are called that people hold there all the same.
 */
function useRoles({ realm, mandateId, instanceId }: Pick<Props, 'realm' | 'mandateId' | 'instanceId'>): {
  roles: Role[]
  labelOf: (id: string) => string
} {
  const { data: all = [] } = useQuery({
    queryKey: [realm === 'mandate' ? 'mandate' : 'roles', 'choice', mandateId, instanceId],
    retry: false,
    queryFn: async () => {
      const { list } = rolesOf(realm)
      const pages = await Promise.all(
        [{ mandateId }, {}, ...(instanceId === undefined ? [] : [{ instanceId }])].map((of) =>
          list({ limit: '200', ...of }),
        ),
      )
      return [...new Map(pages.flatMap(({ items }) => items).map((role) => [role.id, role])).values()]
    },
  })
  const counts = (role: Role) =>
    instanceId === undefined
      ? role.scope === 'global' || (role.scope === 'mandate' && role.mandateId === mandateId)
      : role.featureInstanceId === instanceId
  return {
    roles: all.filter(counts),
    labelOf: (id) => all.find((role) => role.id === id)?.label ?? id.slice(-6),
  }
}

function RoleChoice({
  roles,
  labelOf,
  value,
  onChange,
}: {
  roles: Role[]
  labelOf: (id: string) => string
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

function AddPerson({
  people,
  kind,
  hint,
  roles,
  labelOf,
  onClose,
  onDone,
}: {
  people: People
  kind: Props['kind']
  hint?: string | undefined
  roles: Role[]
  labelOf: (id: string) => string
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

/** Whose roles are being changed, and to what. */
interface RoleChange {
  member: Member
  roleIds: string[]
  /** Whether somebody else has changed them since. */
  isTakenOver?: boolean
}

function ChangeRoles({
  change: { member, isTakenOver = false, ...change },
  roles,
  labelOf,
  onClose,
  onSave,
}: {
  change: RoleChange
  roles: Role[]
  labelOf: (id: string) => string
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

/** People with roles in a place, and what can be done with them. */
export function PeopleList({ people, kind, realm, mandateId, instanceId, mayChange = true }: Props) {
  const say = useText()
  const { date } = useFormat()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const [isAdding, setAdding] = useState(false)
  const [changing, setChanging] = useState<RoleChange>()
  const { roles, labelOf } = useRoles({ realm, mandateId, ...(instanceId ? { instanceId } : {}) })

  const done = async (text: string, answer: object) => {
    tellDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: people.key })
  }
  type Wanted = Pick<Question, 'title' | 'hint' | 'action' | 'isHarmless'> & {
    text: string
    run: (member: Member, dryRun: DryRun) => Promise<object>
  }
  const askFirst = (member: Member, { text, run, ...question }: Wanted) =>
    ask({
      ...question,
      nameOf: labelOf,
      preview: () => previewOf(run(member, '1')),
      onConfirm: async () => done(text, await run(member, '0')),
      redo: (now) => askFirst({ ...member, ...now }, { text, run, ...question }),
    })
  const askToSaveRoles = ({ member, roleIds }: RoleChange) =>
    ask({
      title: say('member.roles.of', { name: member.username }),
      hint: say('member.roles.preview'),
      action: say('save'),
      isHarmless: true,
      nameOf: labelOf,
      preview: () => previewOf(people.change(member, { roleIds }, '1')),
      onConfirm: async () =>
        done(
          say('member.roles.saved', { name: member.username }),
          await people.change(member, { roleIds }, '0'),
        ),
      redo: (now) => {
        const current = { ...member, ...now }
        setChanging({
          member: current,
          ...rebased({ roleIds: member.roleIds }, { roleIds }, { roleIds: current.roleIds }),
          isTakenOver: true,
        })
      },
    })
  const actionsOf = (member: Member) => {
    const name = member.username
    return [
      {
        label: say('member.roles.change'),
        icon: 'shield' as const,
        onChoose: () => setChanging({ member, roleIds: member.roleIds }),
      },
      member.enabled
        ? {
            label: say('disable'),
            icon: 'cross' as const,
            isDestructive: true,
            onChoose: () =>
              askFirst(member, {
                title: say(`${kind}.disable`, { name }),
                hint: say(`${kind}.disable.hint`),
                action: say('disable'),
                text: say(`${kind}.isDisabled`, { name }),
                run: (one, dryRun) => people.change(one, { enabled: false }, dryRun),
              }),
          }
        : {
            label: say('enable'),
            icon: 'check' as const,
            onChoose: () =>
              askFirst(member, {
                title: `${say('enable')}: ${name}?`,
                hint: '',
                action: say('enable'),
                isHarmless: true,
                text: say(`${kind}.isEnabled`, { name }),
                run: (one, dryRun) => people.change(one, { enabled: true }, dryRun),
              }),
          },
      {
        label: say('remove'),
        icon: 'trash' as const,
        isDestructive: true,
        onChoose: () =>
          askFirst(member, {
            title: say(`${kind}.remove`, { name }),
            hint: say(`${kind}.remove.hint`),
            action: say('remove'),
            text: say(`${kind}.removed`, { name }),
            run: people.remove,
          }),
      },
    ]
  }
  const add = mayChange && (
    <Button leftSection={<Icon name="plus" />} onClick={() => setAdding(true)}>
      {say(kind === 'member' ? 'member.add' : 'access.give')}
    </Button>
  )
  return (
    <>
      <List<Member>
        label={say(kind === 'member' ? 'members' : 'access')}
        queryKey={people.key}
        load={people.list}
        idOf={(one) => one.id}
        nameOf={(one) => one.username}
        search="server"
        empty={
          kind === 'member'
            ? { icon: 'users', title: say('members.empty'), hint: say('members.empty.hint') }
            : { icon: 'key', title: say('access.empty'), hint: say('access.empty.hint') }
        }
        end={add}
        columns={[
          {
            key: 'name',
            title: say('user'),
            sortBy: (one) => one.username,
            show: (one) => (
              <>
                <b>{one.username}</b>
                <span className="sub">{one.fullName}</span>
              </>
            ),
          },
          {
            key: 'roles',
            title: say('member.roles'),
            show: (one) =>
              one.roleIds.length === 0 ? (
                <span className="soft">{say('home.noRoles')}</span>
              ) : (
                <Group gap={5}>
                  {one.roleIds.map((id) => (
                    <Badge key={id}>{labelOf(id)}</Badge>
                  ))}
                </Group>
              ),
          },
          {
            key: 'since',
            title: say('member.since'),
            sortBy: (one) => one.createdAt,
            isSecondary: true,
            show: (one) => date(one.createdAt),
          },
          {
            key: 'state',
            title: say('state'),
            sortBy: (one) => Number(one.enabled),
            show: (one) => <EnabledState enabled={one.enabled} />,
          },
        ]}
        {...(mayChange ? { actionsOf } : {})}
      />
      {dialog}
      {isAdding && (
        <AddPerson
          people={people}
          kind={kind}
          hint={kind === 'member' && realm === 'mandate' ? say('member.add.hint') : undefined}
          roles={roles}
          labelOf={labelOf}
          onClose={() => setAdding(false)}
          onDone={done}
        />
      )}
      {changing && (
        <ChangeRoles
          change={changing}
          roles={roles}
          labelOf={labelOf}
          onClose={() => setChanging(undefined)}
          onSave={askToSaveRoles}
        />
      )}
    </>
  )
}
