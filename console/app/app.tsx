import { Center, Loader, Stack, Text } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import { Router, type AroundNavHandler } from 'wouter'
import { gateway } from '../api/client'
import { blocking, FaultNote, isOutage } from '../parts/fault'
import { leave } from '../parts/unsaved'
import { useText } from '../texts/language'
import { SessionContext, useEnter, useMe, usePermissions, type Me } from './session'
import { Shell } from './shell'
import { SignIn } from './sign-in'

/** Returns the mandates that the user can work in now. */
const usable = ({ memberships }: Me) => memberships.filter((one) => one.enabled && one.mandate.enabled)

/** Asks before each navigation where something is not saved. */
const aroundNav: AroundNavHandler = (navigate, to, options) => leave(() => navigate(to, options))

function SignedIn({ me }: { me: Me }) {
  const [mandateId, setMandate] = useState(() => gateway.place().mandateId)
  const enter = useEnter(setMandate)
  const mayRoam = me.user.isPlatformAdmin || me.user.isSysAdmin
  const first = usable(me)[0]
  useEffect(() => {
    // where nothing has been chosen in this tab, or no longer may be
    const isKnown = me.memberships.some((one) => one.mandate.id === mandateId)
    if (mandateId === undefined ? first !== undefined : !isKnown && !mayRoam) enter(first?.mandate.id)
  }, [mandateId, me, first, mayRoam, enter])
  const { data: permissions, error } = usePermissions(mandateId)
  return (
    <SessionContext.Provider
      value={{
        user: me.user,
        memberships: me.memberships,
        mandateId,
        enter,
        mandateLabel: me.memberships.find((one) => one.mandate.id === mandateId)?.mandate.label,
        permissions: (error && !isOutage(error)) || mandateId === undefined ? {} : permissions,
      }}
    >
      <Router base="/console" aroundNav={aroundNav}>
        <Shell />
      </Router>
    </SessionContext.Provider>
  )
}

/** The page until the session is known. It explains itself after a while. */
function Opening() {
  const say = useText()
  const [isSlow, setSlow] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), 2000)
    return () => clearTimeout(timer)
  }, [])
  return (
    <Center h="100dvh" p="md">
      <Stack align="center">
        <Loader />
        {isSlow && <Text role="status">{say('fault.slow')}</Text>}
      </Stack>
    </Center>
  )
}

/** The console, or the sign-in for visitors. */
export function App() {
  const { data: me, refetch, ...query } = useMe()
  const error = blocking({ data: me, error: query.error })
  const wasIn = useRef(false)
  if (me) wasIn.current = true
  if (error)
    return (
      <Center h="100dvh" p="md">
        <FaultNote error={error} onRetry={() => void refetch()} />
      </Center>
    )
  if (me === undefined) return <Opening />
  return me === null ? <SignIn hasEnded={wasIn.current} /> : <SignedIn key={me.user.id} me={me} />
}
