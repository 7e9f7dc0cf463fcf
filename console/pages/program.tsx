import { Alert, Button, Group, TextInput } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api, edit } from '../api/client'
import { useSession } from '../app/session'
import { useConfirm } from '../parts/confirm'
import { blocking, FaultNote } from '../parts/fault'
import { useEdited } from '../parts/edited'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { PageHead } from '../parts/page-head'
import { tellDone } from '../parts/receipts'
import { EnabledState } from '../parts/state'
import { Waiting } from '../parts/waiting'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { credentialsOf } from './credential-kinds'
import { Credentials } from './credentials'
import { useProgramActions, type Program } from './programs'

const kinds = ['secrets', 'publicKeys', 'apiTokens'] as const

function EditProgram({ program, onClose }: { program: Program; onClose: () => void }) {
  const say = useText()
  const queries = useQueryClient()
  const {
    seen,
    fields: { name },
    set,
    takeOver,
  } = useEdited(program, (item: Program) => ({ name: item.fullName ?? '' }))
  const save = async () => {
    await answerOf<object>(
      edit(seen).PATCH('/admin/service-accounts/{id}', {
        params: { path: { id: seen.id } },
        body: { fullName: name.trim() || null },
      }),
    )
    tellDone(say('program.saved', { name: seen.username }))
    await queries.invalidateQueries({ queryKey: ['programs'] })
  }
  return (
    <FormDialog
      title={say('edit')}
      action={say('save')}
      onSubmit={save}
      onClose={onClose}
      onTakeOver={takeOver}
    >
      <TextInput
        label={say('program.fullName')}
        value={name}
        onChange={(event) => set({ name: event.currentTarget.value })}
        data-autofocus
      />
    </FormDialog>
  )
}

/** One service account, and what it is let in by. */
export function ProgramPage({ id }: { id: string }) {
  const say = useText()
  const { dateTime } = useFormat()
  const { user: me } = useSession()
  const [ask, dialog] = useConfirm()
  const actionsOf = useProgramActions(ask)
  const [isEditing, setEditing] = useState(false)
  const {
    data: program,
    refetch,
    ...query
  } = useQuery({
    queryKey: ['programs', 'one', id],
    queryFn: () => answerOf(api.GET('/admin/service-accounts/{id}', { params: { path: { id } } })),
  })
  const backTo = { href: '/service-accounts', label: say('programs') }
  const error = blocking({ data: program, error: query.error })
  if (error)
    return (
      <>
        <PageHead title={say('program')} backTo={backTo} />
        <FaultNote error={error} onRetry={() => void refetch()} />
      </>
    )
  if (!program) return <Waiting />
  const mayChange = me.isSysAdmin || !program.isSysAdmin
  const sources = credentialsOf(id)
  return (
    <>
      <PageHead
        title={program.username}
        hint={program.fullName}
        backTo={backTo}
        actions={
          mayChange && (
            <Group gap="xs">
              <Button
                variant="default"
                leftSection={<Icon name="edit" size={14} />}
                onClick={() => setEditing(true)}
              >
                {say('edit')}
              </Button>
              {actionsOf(program).map(({ label, onChoose, isDestructive }) => (
                <Button
                  key={label}
                  variant="default"
                  onClick={onChoose}
                  {...(isDestructive ? { c: 'red' } : {})}
                >
                  {label}
                </Button>
              ))}
            </Group>
          )
        }
      />
      <div className="card padded">
        <dl className="facts">
          <dt>{say('state')}</dt>
          <dd>
            <EnabledState enabled={program.enabled} />
          </dd>
          <dt>{say('program.clientId')}</dt>
          <dd className="mono">{program.username}</dd>
          <dt>{say('user.created')}</dt>
          <dd>{dateTime(program.createdAt)}</dd>
          <dt>Id</dt>
          <dd className="mono">{program.id}</dd>
        </dl>
      </div>
      {!mayChange && (
        <Alert color="yellow" variant="light" mt="md">
          {say('program.ofSysAdmin')}
        </Alert>
      )}
      {kinds.map((kind) => (
        <Credentials
          key={kind}
          kind={kind}
          source={sources[kind]}
          queryKey={['programs', 'credentials', id, kind]}
          name={program.username}
          mayChange={mayChange}
        />
      ))}
      {dialog}
      {isEditing && <EditProgram program={program} onClose={() => setEditing(false)} />}
    </>
  )
}
