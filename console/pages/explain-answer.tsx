import { Group } from '@mantine/core'
import { useQueries, useQuery } from '@tanstack/react-query'
import { Link } from 'wouter'
import { answerOf, api } from '../api/client'
import { instancesOf, rolesOf, type Realm, type Role } from '../api/realms'
import { useSession } from '../app/session'
import { Icon } from '../parts/icons'
import { actions } from '../parts/levels'
import { State } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { Cures, pathOf } from './explain-cures'
import type { ExplainedRule, Subject, Verdict } from './explain-question'

const scopes = { 1: 'global', 2: 'mandate', 3: 'instance' } as const
const scopeOf = (priority: number) => scopes[priority === 3 ? 3 : priority === 2 ? 2 : 1]

/** Returns the labels of mandate and instance. */
function usePlaceName(realm: Realm, { mandateId, instanceId }: Verdict): string {
  const say = useText()
  const { mandateId: own, mandateLabel } = useSession()
  const isOwn = realm === 'mandate'
  const { data: mandate } = useQuery({
    queryKey: ['mandates', 'one', mandateId],
    enabled: mandateId !== null && !isOwn,
    retry: false,
    queryFn: () => answerOf(api.GET('/admin/mandates/{id}', { params: { path: { id: mandateId ?? '' } } })),
  })
  const { data: instance } = useQuery({
    queryKey: [realm, 'instances', 'one', instanceId],
    enabled: instanceId !== null,
    retry: false,
    queryFn: () => instancesOf(realm).get(instanceId ?? ''),
  })
  const names = [
    isOwn ? (mandateLabel ?? own) : mandateId === null ? undefined : (mandate?.label ?? mandateId),
    instanceId === null ? undefined : (instance?.label ?? instanceId),
  ]
  return names.filter((one) => one !== undefined).join(' / ') || say('explain.nowhere')
}

/** The person's roles there, as far as the caller can see them. */
function useRoles(realm: Realm, roleIds: string[] = []): Role[] {
  const { mandateId } = useSession()
  const found = useQueries({
    queries: roleIds.map((id) => ({
      queryKey: [realm, realm === 'mandate' ? mandateId : '', 'roles', 'one', id],
      retry: false,
      queryFn: () => rolesOf(realm).get(id),
    })),
  })
  return found.flatMap(({ data }) => (data ? [data] : []))
}

function RuleRow({
  rule,
  effect,
  subject,
  realm,
}: {
  rule: ExplainedRule
  effect: 'decided' | 'merged' | 'overruled'
  subject: Subject | null
  realm: Realm
}) {
  const say = useText()
  const state = (
    <State kind={effect === 'decided' ? 'good' : effect === 'merged' ? 'warn' : 'idle'}>
      {say(`explain.rule.${effect}`)}
    </State>
  )
  return (
    <tr className={effect === 'overruled' ? 'is-overruled' : ''}>
      <td>
        <Link className="row-link" href={pathOf(realm, 'roles', rule.roleId)}>
          {rule.roleLabel ?? rule.roleId.slice(-6)}
        </Link>
        <span className="sub">
          {say('explain.rule.priority', {
            priority: rule.priority,
            scope: say(`role.scope.${scopeOf(rule.priority)}`),
          })}
        </span>
        <span className="sub narrow-block">{state}</span>
      </td>
      <td>
        <span className="mono">
          {rule.context} {rule.item ?? '*'}
        </span>
      </td>
      {actions.map((action) => (
        <td key={action} className={action === subject?.action ? 'is-asked' : 'wide-only'}>
          <span className={`level-mark level-${rule[action]}`}>{say(`level.${rule[action]}`)}</span>
        </td>
      ))}
      <td className="wide-only">{state}</td>
    </tr>
  )
}

function Rules({ verdict: { deciding, overruled, subject }, realm }: { verdict: Verdict; realm: Realm }) {
  const say = useText()
  const rows = [
    ...deciding.map((rule, index) => ({
      rule,
      effect: index === 0 ? ('decided' as const) : ('merged' as const),
    })),
    ...overruled.map((rule) => ({ rule, effect: 'overruled' as const })),
  ]
  return (
    <>
      <h2 className="section">{say('explain.rules')}</h2>
      <section className="card list" aria-label={say('explain.rules')}>
        {rows.length > 0 && (
          <div className="list-scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">
                    <span>{say('role')}</span>
                  </th>
                  <th scope="col">
                    <span>{say('rule.item')}</span>
                  </th>
                  {actions.map((action) => (
                    <th
                      key={action}
                      scope="col"
                      className={action === subject?.action ? 'is-asked' : 'wide-only'}
                    >
                      <span>{say(`rule.${action}`)}</span>
                    </th>
                  ))}
                  <th scope="col" className="wide-only">
                    <span>{say('explain.effect')}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map(({ rule, effect }) => (
                  <RuleRow
                    key={`${rule.roleId} ${rule.item ?? ''} ${effect}`}
                    rule={rule}
                    effect={effect}
                    subject={subject}
                    realm={realm}
                  />
                ))}
              </tbody>
            </table>
          </div>
        )}
        <div className="list-foot">
          <span>{rows.length === 0 ? say('explain.rules.none') : say('explain.rules.hint')}</span>
        </div>
      </section>
    </>
  )
}

function Facts({ verdict, realm, roles }: { verdict: Verdict; realm: Realm; roles: Role[] }) {
  const say = useText()
  const { dateTime } = useFormat()
  const { refusal, decidedBy, level, subject, request, at } = verdict
  const place = usePlaceName(realm, verdict)
  return (
    <dl className="facts">
      <dt>{say('explain.what')}</dt>
      <dd>
        {subject && (
          <>
            {subject.action && say(`rule.${subject.action}`)}{' '}
            <span className="mono">
              {subject.context} {subject.item ?? `(${say('rule.item.all')})`}
            </span>
          </>
        )}
        {request && <span className={subject ? 'sub mono' : 'mono'}>{request}</span>}
      </dd>
      <dt>{say('explain.where')}</dt>
      <dd>{place}</dd>
      {at && (
        <>
          <dt>{say('explain.when')}</dt>
          <dd>{dateTime(at)}</dd>
        </>
      )}
      {refusal && (
        <>
          <dt>{say('explain.answered')}</dt>
          <dd>
            {refusal.status}, {refusal.detail} <span className="mono soft">{refusal.code}</span>
          </dd>
        </>
      )}
      {decidedBy && (
        <>
          <dt>{say('explain.decidedBy')}</dt>
          <dd>{say(`explain.decidedBy.${decidedBy}`)}</dd>
        </>
      )}
      {level && level !== 'n' && (
        <>
          <dt>{say('explain.level')}</dt>
          <dd>{say(`level.${level}`)}</dd>
        </>
      )}
      {verdict.roleIds && (
        <>
          <dt>{say('explain.roles')}</dt>
          <dd>
            {verdict.roleIds.length === 0 ? (
              <span className="soft">{say('home.noRoles')}</span>
            ) : (
              <Group gap={12}>
                {roles.map((role) => (
                  <Link key={role.id} className="row-link" href={pathOf(realm, 'roles', role.id)}>
                    {role.label}
                  </Link>
                ))}
              </Group>
            )}
          </dd>
        </>
      )}
    </dl>
  )
}

/** Shows whether the request is allowed, and why. */
export function Answer({ verdict, realm }: { verdict: Verdict; realm: Realm }) {
  const say = useText()
  const roles = useRoles(realm, verdict.roleIds)
  const { allowed, at, user, subject, decidedBy } = verdict
  return (
    <div role="region" aria-label={say('explain.asked')} aria-live="polite">
      <div className={`card padded verdict ${allowed ? 'is-yes' : 'is-no'}`}>
        <p className="verdict-head">
          <span className="verdict-mark">
            <Icon name={allowed ? 'check' : 'cross'} size={16} />
          </span>
          {say(at ? 'explain.was' : allowed ? 'explain.yes' : 'explain.no', {
            name: user.username ?? say('explain.somebody'),
          })}
        </p>
        <Facts verdict={verdict} realm={realm} roles={roles} />
      </div>
      {!allowed && <Cures verdict={verdict} realm={realm} roles={roles} />}
      {subject && (decidedBy === undefined || decidedBy === 'rules') && (
        <Rules verdict={verdict} realm={realm} />
      )}
    </div>
  )
}
