import { Badge, Button, Group } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { rebased } from '../api/as-seen'
import { previewOf } from '../api/client'
import type { DryRun, Member, People, Realm } from '../api/realms'
import { useColumns } from '../parts/columns'
import { useConfirm, type Question } from '../parts/confirm'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'
import { AddPerson, ChangeRoles, type RoleChange } from './people-forms'
import { useRoles } from './use-roles'

interface Props {
  people: People
  kind: 'member' | 'access'
  realm: Realm
  /** The mandate whose roles can be given. */
  mandateId: string
  instanceId?: string
  /** Whether they may be changed here. */
  mayChange?: boolean
}

/** The people with roles in a mandate or an instance, and their actions. */
export function PeopleList({ people, kind, realm, mandateId, instanceId, mayChange = true }: Props) {
  const say = useText()
  const { created, state } = useColumns()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const [isAdding, setAdding] = useState(false)
  const [changing, setChanging] = useState<RoleChange>()
  const { roles, labelOf } = useRoles({ realm, mandateId, ...(instanceId ? { instanceId } : {}) })

  const done = async (text: string, answer: object) => {
    notifyDone(text, receiptOf(answer))
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
          created((one) => one.createdAt, say('member.since')),
          state((one) => one.enabled),
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
