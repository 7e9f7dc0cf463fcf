import { Button } from '@mantine/core'
import { useLocation } from 'wouter'
import type { Realm, Role } from '../api/realms'
import { useSession } from '../app/session'
import { Icon } from '../parts/icons'
import { useText } from '../texts/language'
import { useReach } from './explain-reach'
import { addressOf, type Subject, type Verdict } from './explain-question'

/** One change that would allow the request, with the page where it is made. */
interface Cure {
  text: string
  href?: string
  action?: string
}

export interface Props {
  realm: Realm
  verdict: Verdict
  /** The person's roles there. */
  roles: Role[]
}

export const pathOf = (realm: Realm, page: 'roles' | 'instances', id: string) =>
  `/${realm === 'mandate' ? '' : 'all-'}${page}/${id}`

/** Refusals before any rule. Each has one remedy. */
const curedCodes = [
  'not_a_member',
  'membership_disabled',
  'no_instance_access',
  'feature_access_disabled',
  'mandate_disabled',
  'mandate_required',
  'instance_required',
  'user_disabled',
  'sysadmin_required',
  'platform_admin_required',
] as const
type Cured = (typeof curedCodes)[number]
const curedOf = (code: string) => curedCodes.find((one) => one === code)

/** Returns the page where the people of the verdict's mandate are administered. */
function useMembersLink(realm: Realm, { mandateId, user }: Verdict): Pick<Cure, 'href' | 'action'> {
  const say = useText()
  const { permissions } = useSession()
  const search = user.username === null ? '' : `?q=${encodeURIComponent(user.username)}`
  if (realm === 'platform')
    return mandateId === null
      ? {}
      : { href: `/mandates/${mandateId}${search}`, action: say('explain.change.members') }
  return (permissions?.['gateway.members']?.read ?? 'n') === 'n'
    ? {}
    : { href: `/members${search}`, action: say('explain.change.members') }
}

/** Returns the changes that would allow the request. */
function useCures(props: Props): Cure[] {
  const { realm, verdict, roles } = props
  const say = useText()
  const { user: me } = useSession()
  const reach = useReach(props)
  const { refusal, subject, deciding, user, mandateId, instanceId } = verdict
  const members = useMembersLink(realm, verdict)
  if (!refusal) return []
  const instance =
    instanceId === null
      ? members
      : { href: pathOf(realm, 'instances', instanceId), action: say('explain.change.instance') }
  const account =
    realm === 'platform' ? { href: `/users/${user.id}`, action: say('explain.change.user') } : {}
  const code = curedOf(refusal.code)
  if (code !== undefined) {
    const links: Partial<Record<Cured, Pick<Cure, 'href' | 'action'>>> = {
      not_a_member: members,
      membership_disabled: members,
      no_instance_access: instance,
      feature_access_disabled: instance,
      user_disabled: account,
      platform_admin_required: account,
      ...(realm === 'platform' && mandateId !== null
        ? { mandate_disabled: { href: `/mandates/${mandateId}`, action: say('explain.change.mandate') } }
        : {}),
      ...(me.isSysAdmin ? { sysadmin_required: { href: '/admins', action: say('admins') } } : {}),
    }
    return [{ text: say(`explain.cure.${code}`), ...links[code] }]
  }
  if (refusal.code !== 'permission_denied' || !subject) return []
  return ruleCures({
    realm,
    subject,
    deciding,
    roles,
    members,
    reach,
    say,
    name: user.username ?? say('explain.somebody'),
  })
}

interface RuleCures extends Pick<Verdict, 'deciding'> {
  realm: Realm
  subject: Subject
  roles: Role[]
  members: Pick<Cure, 'href' | 'action'>
  /** The people whom a rule of a global role affects. */
  reach: string
  name: string
  say: ReturnType<typeof useText>
}

/**
 * Ways to a permission: what helps this person alone comes first; a global role, which concerns everybody who
 * holds it in any mandate, last.
 */
function ruleCures({ realm, subject, deciding, roles, members, reach, name, say }: RuleCures): Cure[] {
  if (subject.action === null) return [{ text: say('explain.cure.method') }]
  const action = say(`rule.${subject.action}`)
  const target = (item: string | null) => `${subject.context} ${item ?? `(${say('rule.item.all')})`}`
  const open = (roleId: string) => ({
    href: pathOf(realm, 'roles', roleId),
    action: say('explain.change.role'),
  })
  const newRole = {
    text: say('explain.cure.newRole', { name, action, target: target(subject.item) }),
    ...members,
  }
  const [first] = deciding
  if (first) {
    const role = first.roleLabel ?? first.roleId.slice(-6)
    if (first.priority !== 1)
      return [
        {
          text: say('explain.cure.rule', { action, target: target(first.item), role }),
          ...open(first.roleId),
        },
      ]
    return realm === 'mandate'
      ? [newRole, { text: say('explain.cure.foreignRule', { role }), ...open(first.roleId) }]
      : [
          newRole,
          {
            text: say('explain.cure.globalRule', { action, target: target(first.item), role, reach }),
            ...open(first.roleId),
          },
        ]
  }
  const [own, global] = [
    roles.filter((role) => role.scope !== 'global'),
    roles.filter((role) => role.scope === 'global' && realm === 'platform'),
  ]
  return [
    ...own.slice(0, 3).map((role) => ({
      text: say('explain.cure.noRule', { role: role.label, target: target(subject.item), action }),
      ...open(role.id),
    })),
    newRole,
    ...global.slice(0, 1).map((role) => ({
      text: say('explain.cure.globalRule', {
        action,
        target: target(subject.item),
        role: role.label,
        reach,
      }),
      ...open(role.id),
    })),
  ]
}

/** Shows the changes that would allow the request, with links to their pages. */
export function Cures(props: Props) {
  const say = useText()
  const [, go] = useLocation()
  const cures = useCures(props)
  const {
    verdict: { at, user, mandateId, subject },
    realm,
  } = props
  const again =
    at !== undefined && user.username !== null && subject?.action
      ? addressOf({
          user: user.username,
          mandate: realm === 'platform' ? (mandateId ?? '') : '',
          context: subject.context,
          item: subject.item ?? '',
          action: subject.action,
        })
      : undefined
  if (cures.length === 0 && again === undefined) return null
  return (
    <>
      <h2 className="section">{say('explain.change')}</h2>
      <ul className="card cures">
        {cures.map(({ text, href, action }) => (
          <li key={text}>
            <span>{text}</span>
            {href !== undefined && (
              <Button
                size="xs"
                variant="default"
                component="a"
                href={`/console${href}`}
                rightSection={<Icon name="right" size={13} />}
                onClick={(event) => {
                  event.preventDefault()
                  go(href)
                }}
              >
                {action}
              </Button>
            )}
          </li>
        ))}
        {again !== undefined && (
          <li>
            <span>{say('explain.again.hint')}</span>
            <Button
              size="xs"
              variant="default"
              onClick={() => go(`${realm === 'mandate' ? '/explain' : '/all-explain'}?${again}`)}
            >
              {say('explain.change.again')}
            </Button>
          </li>
        )}
      </ul>
    </>
  )
}
