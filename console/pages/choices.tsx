import { answerOf, api } from '../api/client'
import { instancesOf, type Realm } from '../api/realms'
import { useSession } from '../app/session'
import { Choice, type Option } from '../parts/choice'
import { useText } from '../texts/language'

const limit = '20'
const begins = (search: string) => (search ? { q: search } : {})

interface Person {
  userId: string
  username: string
  fullName: string | null
}

async function findPeople(realm: Realm, search: string): Promise<Person[]> {
  if (realm === 'mandate')
    return (await answerOf(api.GET('/mandate/members', { params: { query: { limit, ...begins(search) } } })))
      .items
  return (
    await answerOf(api.GET('/admin/users', { params: { query: { limit, ...begins(search) } } }))
  ).items.map(({ id, ...user }) => ({ userId: id, ...user }))
}

interface PersonProps {
  realm: Realm
  /** The value of a choice: the user's id or username. */
  by: 'id' | 'username'
  value: string | null
  onChange: (value: string | null) => void
  required?: boolean
  isLabelHidden?: boolean
  width?: number
}

/** A choice of a user: of the platform, or of the members of this tab's mandate. */
export function PersonChoice({ realm, by, ...props }: PersonProps) {
  const say = useText()
  const { mandateId } = useSession()
  const optionOf = ({ userId, username, fullName }: Person): Option => ({
    value: by === 'id' ? userId : username,
    label: fullName ? `${username} · ${fullName}` : username,
  })
  return (
    <Choice
      label={say('user')}
      placeholder={say('choice.person')}
      queryKey={[realm, realm === 'mandate' ? mandateId : '', 'people', by]}
      load={async (search) => (await findPeople(realm, search)).map(optionOf)}
      {...props}
    />
  )
}

interface PlaceProps {
  value: string | null
  onChange: (value: string | null) => void
  isLabelHidden?: boolean
  width?: number
}

/** A choice of a mandate, or of the system where `system` names it. */
export function MandateChoice({ system, ...props }: PlaceProps & { system?: string }) {
  const say = useText()
  const extra = system === undefined ? [] : [{ value: 'system', label: system }]
  return (
    <Choice
      label={say('mandate')}
      placeholder={say('mandate.choose')}
      queryKey={['mandates', system ?? '']}
      {...props}
      load={async (search) => [
        ...(search ? [] : extra),
        ...(
          await answerOf(api.GET('/admin/mandates', { params: { query: { limit, ...begins(search) } } }))
        ).items.map(({ id, label }) => ({ value: id, label })),
      ]}
      nameOf={async (id) =>
        id === 'system'
          ? (system ?? id)
          : (await answerOf(api.GET('/admin/mandates/{id}', { params: { path: { id } } }))).label
      }
    />
  )
}

/** A choice of an instance, of one mandate where it is given. */
export function InstanceChoice({
  realm,
  mandateId,
  ...props
}: PlaceProps & { realm: Realm; mandateId: string | undefined }) {
  const say = useText()
  const { list, get } = instancesOf(realm)
  return (
    <Choice
      key={mandateId}
      label={say('instance')}
      placeholder={say('choice.noInstance')}
      queryKey={[realm, mandateId, 'instances']}
      {...props}
      load={async (search) =>
        (await list({ limit, ...begins(search), ...(mandateId ? { mandateId } : {}) })).items.map(
          ({ id, label }) => ({ value: id, label }),
        )
      }
      nameOf={async (id) => (await get(id)).label}
    />
  )
}
