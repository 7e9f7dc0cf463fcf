import { Button, Textarea, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useConfirm } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { receiptOf, notifyDone } from '../parts/receipts'
import { ShownOnce } from '../parts/shown-once'
import { State } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { makeKeyPair, type Credential, type Kind, type Source } from './credential-kinds'

interface Props {
  kind: Kind
  source: Source
  queryKey: readonly unknown[]
  /** The name of the service account. */
  name: string
  mayChange: boolean
}

interface Secret {
  title: string
  hint: string
  value: string
  usage?: string | undefined
}

const day = 24 * 60 * 60 * 1000
const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10)
/** Returns the end of a day in local time. */
const endOf = (date: string) => new Date(`${date}T23:59:59`).toISOString()

function asJwk(text: string): Record<string, unknown> | undefined {
  try {
    const read: unknown = JSON.parse(text)
    return typeof read === 'object' && read !== null && !Array.isArray(read) ? { ...read } : undefined
  } catch {
    return undefined
  }
}

function NewCredential({
  kind,
  source,
  name,
  onClose,
  onMade,
}: Pick<Props, 'kind' | 'source' | 'name'> & {
  onClose: () => void
  onMade: (secret?: Secret) => Promise<void>
}) {
  const say = useText()
  const [label, setLabel] = useState('')
  const [date, setDate] = useState(kind === 'apiTokens' ? dayOf(Date.now() + 90 * day) : '')
  const [jwk, setJwk] = useState('')
  const [privateJwk, setPrivateJwk] = useState<string>()
  const isBad = kind === 'publicKeys' && jwk !== '' && asJwk(jwk) === undefined
  const generate = async () => {
    const pair = await makeKeyPair()
    setJwk(JSON.stringify(pair.publicJwk, null, 2))
    setPrivateJwk(pair.privateJwk)
  }
  const make = async () => {
    const publicJwk = asJwk(jwk)
    const { value, usage, coherence } = await source.make({
      label: label.trim(),
      expiresAt: date ? endOf(date) : null,
      ...(publicJwk ? { publicJwk } : {}),
    })
    if (kind === 'publicKeys') {
      notifyDone(say('publicKeys.added', { label: label.trim() }), coherence)
      await onMade(
        privateJwk === undefined
          ? undefined
          : {
              title: say('publicKeys.private', { name }),
              hint: say('credential.once.key'),
              value: privateJwk,
            },
      )
    } else await onMade({ title: say(`${kind}.made`, { name }), hint: say('credential.once'), value, usage })
  }
  return (
    <FormDialog title={say(`${kind}.new`)} action={say('create')} onSubmit={make} onClose={onClose}>
      <TextInput
        label={say('label')}
        description={say('credential.label.hint')}
        required
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
        autoComplete="off"
        data-autofocus
      />
      {kind === 'publicKeys' && (
        <>
          <Textarea
            label={say('publicKeys.jwk')}
            description={say('publicKeys.jwk.hint')}
            required
            rows={7}
            spellCheck={false}
            classNames={{ input: 'mono' }}
            value={jwk}
            error={isBad && say('publicKeys.jwk.bad')}
            onChange={(event) => {
              setJwk(event.currentTarget.value)
              setPrivateJwk(undefined) // which belongs to another
            }}
          />
          {window.isSecureContext && (
            <Button
              variant="default"
              size="xs"
              leftSection={<Icon name="key" size={13} />}
              onClick={() => void generate()}
              style={{ justifySelf: 'start', alignSelf: 'flex-start' }}
            >
              {say('publicKeys.generate')}
            </Button>
          )}
        </>
      )}
      <TextInput
        type="date"
        label={say('credential.expires')}
        description={kind === 'apiTokens' ? say('apiTokens.hint') : say('credential.expires.hint')}
        required={kind === 'apiTokens'}
        value={date}
        min={dayOf(Date.now())}
        {...(kind === 'apiTokens' ? { max: dayOf(Date.now() + 398 * day) } : {})}
        onChange={(event) => setDate(event.currentTarget.value)}
      />
    </FormDialog>
  )
}

/** The credentials of one kind that a service account has. */
export function Credentials({ kind, source, queryKey, name, mayChange }: Props) {
  const say = useText()
  const { ago, date, dateTime } = useFormat()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const [isMaking, setMaking] = useState(false)
  const [secret, setSecret] = useState<Secret>()
  const refresh = () => queries.invalidateQueries({ queryKey })
  const remove = async ({ id, label }: Credential) => {
    notifyDone(say(`${kind}.revoked`, { label }), receiptOf(await source.remove(id)))
    await refresh()
  }
  const askToRemove = async (one: Credential) => {
    // a count that cannot be had is no reason not to remove it
    const count = kind === 'apiTokens' ? 0 : await source.tryRemove(one.id).catch(() => 0)
    ask({
      title: say(`${kind}.revoke`, { label: one.label }),
      hint: (
        <>
          {say(`${kind}.revoke.hint`)}
          {count > 0 && ` ${say('credential.ends', { count })}`}
        </>
      ),
      action: say(kind === 'apiTokens' ? 'token.revoke' : 'credential.remove'),
      onConfirm: () => remove(one),
    })
  }
  const isOver = ({ expiresAt }: Credential) => expiresAt !== null && Date.parse(expiresAt) <= Date.now()
  return (
    <div>
      <div className="section-head">
        <div>
          <h2 className="section">{say(kind)}</h2>
          <p>{say(`${kind}.hint`)}</p>
        </div>
        {mayChange && (
          <Button variant="default" leftSection={<Icon name="plus" />} onClick={() => setMaking(true)}>
            {say(`${kind}.new`)}
          </Button>
        )}
      </div>
      <List<Credential>
        label={say(kind)}
        queryKey={queryKey}
        load={source.list}
        idOf={(one) => one.id}
        nameOf={(one) => one.label}
        empty={{ icon: 'key', title: say(`${kind}.empty`), hint: say(`${kind}.empty.hint`) }}
        columns={[
          {
            key: 'label',
            title: say('label'),
            sortBy: (one) => one.label,
            show: (one) => (
              <>
                <b>{one.label}</b>
                {one.kid && (
                  <span className="sub mono break">
                    {one.algorithm} {one.kid}
                  </span>
                )}
              </>
            ),
          },
          {
            key: 'created',
            title: say('user.created'),
            sortBy: (one) => one.createdAt,
            isSecondary: true,
            show: (one) => dateTime(one.createdAt),
          },
          {
            key: 'used',
            title: say('credential.used'),
            sortBy: (one) => one.lastUsedAt,
            show: (one) =>
              one.lastUsedAt ? (
                <span className="nowrap" title={dateTime(one.lastUsedAt)}>
                  {ago(one.lastUsedAt)}
                </span>
              ) : (
                <span className="soft">{say('never')}</span>
              ),
          },
          {
            key: 'expires',
            title: say('credential.expires'),
            sortBy: (one) => one.expiresAt,
            show: (one) =>
              isOver(one) ? (
                <State kind="bad">{say('credential.expired')}</State>
              ) : one.expiresAt ? (
                date(one.expiresAt)
              ) : (
                <span className="soft">{say('never')}</span>
              ),
          },
        ]}
        {...(mayChange
          ? {
              actionsOf: (one: Credential) => [
                {
                  label: say(kind === 'apiTokens' ? 'token.revoke' : 'credential.remove'),
                  icon: 'trash' as const,
                  isDestructive: true,
                  onChoose: () => void askToRemove(one),
                },
              ],
            }
          : {})}
      />
      {dialog}
      {isMaking && (
        <NewCredential
          kind={kind}
          source={source}
          name={name}
          onClose={() => setMaking(false)}
          onMade={async (made) => {
            setSecret(made)
            await refresh()
          }}
        />
      )}
      {secret && <ShownOnce {...secret} onClose={() => setSecret(undefined)} />}
    </div>
  )
}
