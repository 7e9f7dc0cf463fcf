import { ownMembers } from '../api/realms'
import { useSession } from '../app/session'
import { PageHead } from '../parts/page-head'
import { useText } from '../texts/language'
import { PeopleList } from './people'

/** The members of the mandate that this tab works in. */
export function Members() {
  const say = useText()
  const { mandateId = '', permissions } = useSession()
  return (
    <>
      <PageHead title={say('members')} hint={say('members.hint')} />
      <PeopleList
        key={mandateId}
        people={ownMembers(mandateId)}
        kind="member"
        realm="mandate"
        mandateId={mandateId}
        mayChange={permissions?.['gateway.members']?.update !== 'n'}
      />
    </>
  )
}
