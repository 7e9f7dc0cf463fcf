import { Alert, Group, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api, edit } from '../api/client'
import { useSession } from '../app/session'
import { ActionButtons, EditButton } from '../parts/actions'
import { useConfirm } from '../parts/confirm'
import { useEdited } from '../parts/edited'
import { ItemFacts } from '../parts/facts'
import { FormDialog } from '../parts/form-dialog'
import { OneItem } from '../parts/one-item'
import { PageHead } from '../parts/page-head'
import { notifyDone } from '../parts/receipts'
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
    notifyDone(say('program.saved', { name: seen.username }))
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

/** One service account, and the credentials that let it in. */
export function ProgramPage({ id }: { id: string }) {
  const say = useText()
  const { user: me } = useSession()
  const [ask, dialog] = useConfirm()
  const actionsOf = useProgramActions(ask)
  const [isEditing, setEditing] = useState(false)
  const backTo = { href: '/service-accounts', label: say('programs') }
  const sources = credentialsOf(id)
  const mayChange = (program: Program) => me.isSysAdmin || !program.isSysAdmin
  return (
    <OneItem
      title={say('program')}
      backTo={backTo}
      queryKey={['programs', 'one', id]}
      load={() => answerOf(api.GET('/admin/service-accounts/{id}', { params: { path: { id } } }))}
    >
      {(program) => (
        <>
          <PageHead
            title={program.username}
            hint={program.fullName}
            backTo={backTo}
            actions={
              mayChange(program) && (
                <Group gap="xs">
                  <EditButton onClick={() => setEditing(true)} />
                  <ActionButtons actions={actionsOf(program)} />
                </Group>
              )
            }
          />
          <ItemFacts
            enabled={program.enabled}
            createdAt={program.createdAt}
            id={program.id}
            own={[[say('program.clientId'), <span className="mono">{program.username}</span>]]}
          />
          {!mayChange(program) && (
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
              mayChange={mayChange(program)}
            />
          ))}
          {dialog}
          {isEditing && <EditProgram program={program} onClose={() => setEditing(false)} />}
        </>
      )}
    </OneItem>
  )
}
