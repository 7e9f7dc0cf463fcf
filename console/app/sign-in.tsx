import {
  Alert,
  Button,
  Divider,
  PasswordInput,
  SimpleGrid,
  Stack,
  Text,
  TextInput,
  Title,
} from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState, type SyntheticEvent } from 'react'
import { gateway } from '../api/client'
import { useFault } from '../parts/fault'
import logo from '../parts/icon.svg'
import { demoPassword, demoUsers } from '../start/demo'
import { useText } from '../texts/language'
import { settings } from './settings'

const wanted = () => new URLSearchParams(window.location.search).get('as') ?? ''

/** The sign-in form: by password or through a sign-in provider. */
export function SignIn({ hasEnded }: { hasEnded: boolean }) {
  const say = useText()
  const faultOf = useFault()
  const queries = useQueryClient()
  const [username, setUsername] = useState(wanted)
  const [password, setPassword] = useState(() => (settings.demo && wanted() ? demoPassword : ''))
  const [fault, setFault] = useState<string>()
  const [busy, setBusy] = useState(false)

  const signIn = async (event: SyntheticEvent) => {
    event.preventDefault()
    setBusy(true)
    try {
      await gateway.login(username.trim(), password)
      await queries.resetQueries() // what was shown to nobody, or to somebody else
    } catch (error) {
      setFault(faultOf(error).detail)
    } finally {
      setBusy(false)
    }
  }

  return (
    <div className="sign-in">
      <main>
        <Stack gap="lg">
          <Stack gap={10} align="center">
            <img src={logo} alt="" width={44} height={44} />
            <Title order={1}>{say('product')}</Title>
          </Stack>
          <div className="card padded">
            <form onSubmit={(event) => void signIn(event)}>
              <Stack gap="sm">
                {hasEnded && !fault && (
                  <Alert color="yellow" variant="light">
                    {say('signIn.ended')}
                  </Alert>
                )}
                {fault && (
                  <Alert color="red" variant="light" role="alert">
                    {fault}
                  </Alert>
                )}
                <TextInput
                  label={say('signIn.username')}
                  name="username"
                  autoComplete="username"
                  autoFocus
                  required
                  withAsterisk={false}
                  value={username}
                  onChange={(event) => setUsername(event.currentTarget.value)}
                />
                <PasswordInput
                  label={say('signIn.password')}
                  name="password"
                  autoComplete="current-password"
                  required
                  withAsterisk={false}
                  size="sm"
                  value={password}
                  onChange={(event) => setPassword(event.currentTarget.value)}
                />
                <Button type="submit" loading={busy} mt={6}>
                  {say('signIn')}
                </Button>
              </Stack>
            </form>
            {settings.providers.length > 0 && (
              <Stack gap="xs" mt="md">
                <Divider label={say('signIn.or')} />
                {settings.providers.map(({ path, label }) => (
                  <Button key={path} component="a" href={`${path}/login`} variant="default">
                    {say('signIn.with', { name: label })}
                  </Button>
                ))}
              </Stack>
            )}
          </div>
          {settings.demo && (
            <div>
              <Text size="sm" c="dimmed" ta="center" mb={8}>
                {say('signIn.demo.hint')}
              </Text>
              <SimpleGrid cols={{ base: 3, xs: 5 }} spacing={6}>
                {demoUsers.slice(0, 5).map(({ name }) => (
                  <Button
                    key={name}
                    variant="default"
                    size="xs"
                    px={4}
                    onClick={() => {
                      setUsername(name)
                      setPassword(demoPassword)
                    }}
                  >
                    {name}
                  </Button>
                ))}
              </SimpleGrid>
            </div>
          )}
        </Stack>
      </main>
    </div>
  )
}
