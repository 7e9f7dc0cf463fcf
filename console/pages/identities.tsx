import { Button, Group, PasswordInput, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { ProblemError } from '../../packages/client/src/index'
import { answerOf, api, unversioned } from '../api/client'
import type { components } from '../api/schema'
import { settings, type Provider } from '../app/settings'
import { useConfirm } from '../parts/confirm'
import { FaultNote } from '../parts/fault'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type Identity = components['schemas']['Identity']

/** Returns the name that people know the provider of an identity by. */
const nameOf = ({ authority, providerId, label }: Identity) =>
  label ??
  settings.providers.find((one) => one.authority === authority && one.id === (providerId ?? null))?.label ??
  authority

/** The session is too old, or its password was not the right one. */
const wantsProof = (error: unknown) =>
  error instanceof ProblemError &&
  (error.code === 'insufficient_user_authentication' || error.code === 'credentials_invalid')

/** Navigates to the sign-in provider, which links the account. */
async function goToLink({ authority, id }: Provider, currentPassword?: string): Promise<void> {
  const body = {
    ...(authority === 'oidc' ? { providerId: id ?? '' } : { authority }),
    next: '/console/account',
    ...(currentPassword === undefined ? {} : { currentPassword }),
  }
  const { authorizationUrl } = await answerOf(api.POST('/auth/identities', { body }))
  window.location.assign(authorizationUrl)
}

/** Asks for the password, since an old session does not prove who is there. */
function ProofDialog({ provider, onClose }: { provider: Provider; onClose: () => void }) {
  const say = useText()
  const [password, setPassword] = useState('')
  const name = provider.label
  return (
    <FormDialog
      title={say('identity.link', { name })}
      action={say('identity.link', { name })}
      onSubmit={() => goToLink(provider, password)}
      onClose={onClose}
    >
      <PasswordInput
        label={say('password.current')}
        description={say('identity.proof')}
        required
        autoComplete="current-password"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        data-autofocus
      />
    </FormDialog>
  )
}

/** The linked accounts that the user can sign in with. */
export function Identities() {
  const say = useText()
  const { ago, date, dateTime } = useFormat()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const [proving, setProving] = useState<Provider>()
  const link = useMutation({
    mutationFn: (provider: Provider) => goToLink(provider),
    onError: (error, provider) => {
      if (wantsProof(error)) setProving(provider)
    },
  })
  const unlink = async (id: string) => {
    notifyDone(
      say('identity.unlinked'),
      receiptOf(await answerOf(unversioned.DELETE('/auth/identities/{id}', { params: { path: { id } } }))),
    )
    await queries.invalidateQueries({ queryKey: ['my identities'] })
  }
  return (
    <>
      <Group justify="space-between" align="end" mt={26} mb={10}>
        <div>
          <h2 className="section flush">{say('identities')}</h2>
          <Text size="sm" c="dimmed">
            {say('identities.hint')}
          </Text>
        </div>
        <Group gap="xs">
          {settings.providers.map((provider) => (
            <Button
              key={provider.path}
              variant="default"
              leftSection={<Icon name="link" size={14} />}
              loading={link.isPending && link.variables === provider}
              onClick={() => link.mutate(provider)}
            >
              {say('identity.link', { name: provider.label })}
            </Button>
          ))}
        </Group>
      </Group>
      {link.isError && !wantsProof(link.error) && <FaultNote error={link.error} />}
      <List<Identity>
        label={say('identities')}
        queryKey={['my identities']}
        idOf={(one) => one.id}
        nameOf={(one) => `${nameOf(one)} ${one.email ?? ''}`}
        load={async () => ({ ...(await answerOf(api.GET('/auth/identities'))), nextCursor: null })}
        empty={{
          icon: 'link',
          title: say('identities.empty'),
          hint: say(settings.providers.length > 0 ? 'identities.empty.hint' : 'identities.none.hint'),
        }}
        columns={[
          {
            key: 'authority',
            title: say('identity.account'),
            sortBy: nameOf,
            show: (one) => (
              <>
                <b>{nameOf(one)}</b>
                <span className="sub break">{one.email}</span>
              </>
            ),
          },
          {
            key: 'linked',
            title: say('identity.linked'),
            sortBy: (one) => one.linkedAt,
            isSecondary: true,
            show: (one) => date(one.linkedAt),
          },
          {
            key: 'used',
            title: say('portalLink.used'),
            sortBy: (one) => one.lastUsedAt,
            show: (one) =>
              one.lastUsedAt ? (
                <span title={dateTime(one.lastUsedAt)}>{ago(one.lastUsedAt)}</span>
              ) : (
                <span className="soft">{say('never')}</span>
              ),
          },
        ]}
        actionsOf={(one) => [
          {
            label: say('identity.unlink'),
            icon: 'cross',
            isDestructive: true,
            onChoose: () =>
              ask({
                title: say('identity.unlink.title'),
                hint: say('identity.unlink.hint'),
                action: say('identity.unlink'),
                onConfirm: () => unlink(one.id),
              }),
          },
        ]}
      />
      {dialog}
      {proving && <ProofDialog provider={proving} onClose={() => setProving(undefined)} />}
    </>
  )
}
