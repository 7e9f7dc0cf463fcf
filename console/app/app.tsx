import { Center, Loader } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import { Router } from 'wouter'
import { gateway } from '../api/client'
import { FaultNote } from '../parts/fault'
import { SessionContext, useEnter, useMe, usePermissions, type Me } from './session'
import { Shell } from './shell'
import { SignIn } from './sign-in'

/** Mandates that the person may work in now. */
const usable = ({ memberships }: Me) => memberships.filter((one) => one.enabled && one.mandate.enabled)

function SignedIn({ me }: { me: Me }) {
  const [mandateId, setMandate] = useState(() => gateway.place().mandateId)
  const enter = useEnter(setMandate)
  const mayRoam = me.user.isPlatformAdmin || me.user.isSysAdmin
  const first = usable(me)[0]
  useEffect(() => { // where nothing has been chosen in this tab, or no longer may be
    const isKnown = me.memberships.some((one) => one.mandate.id === mandateId)
    if (mandateId === undefined ? first !== undefined : !isKnown && !mayRoam) enter(first?.mandate.id)
  }, [mandateId, me, first, mayRoam, enter])
  const { data: permissions, isError } = usePermissions(mandateId)
  return (
    <SessionContext.Provider value={{
      user: me.user, memberships: me.memberships, mandateId, enter,
      mandateLabel: me.memberships.find((one) => one.mandate.id === mandateId)?.mandate.label,
      permissions: isError || mandateId === undefined ? {} : permissions,
    }}>
      <Router base="/console"><Shell /></Router>
    </SessionContext.Provider>
  )
}

/** The console: for those who have signed in; the others may. */
export function App() {
  const { data: me, error, refetch } = useMe()
  const wasIn = useRef(false)
  if (me) wasIn.current = true
  if (error) return <Center h="100dvh" p="md"><FaultNote error={error} onRetry={() => void refetch()} /></Center>
  if (me === undefined) return <Center h="100dvh"><Loader /></Center>
  return me === null ? <SignIn hasEnded={wasIn.current} /> : <SignedIn key={me.user.id} me={me} />
}
