import { Button, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link, useLocation } from 'wouter'
import { answerOf, api, edit, previewOf } from '../api/client'
import type { components } from '../api/schema'
import { useColumns } from '../parts/columns'
import { useConfirm, type Question } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import type { Action } from '../parts/actions'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { useText } from '../texts/language'

export type Program = components['schemas']['ServiceAccount']
type DryRun = '0' | '1'

/** Returns the actions of a service account. */
export function useProgramActions(ask: (question: Question) => void): (program: Program) => Action[] {
  const say = useText()
  const queries = useQueryClient()
  const done = async (text: string, answer: object) => {
    notifyDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: ['programs'] })
  }
  const change = ({ id, ...seen }: Program, enabled: boolean, dryRun: DryRun) =>
    answerOf<object>(
      edit(seen).PATCH('/admin/service-accounts/{id}', {
        params: { path: { id }, query: { dryRun } },
        body: { enabled },
      }),
    )
  const remove = ({ id, ...seen }: Program, dryRun: DryRun) =>
    answerOf<object>(
      edit(seen).DELETE('/admin/service-accounts/{id}', { params: { path: { id }, query: { dryRun } } }),
    )
  type Wanted = Pick<Question, 'title' | 'hint' | 'action' | 'isHarmless'> & {
    text: string
    run: (program: Program, dryRun: DryRun) => Promise<object>
  }
  const askFirst = (program: Program, { text, run, ...question }: Wanted) =>
    ask({
      ...question,
      preview: () => previewOf(run(program, '1')),
      onConfirm: async () => done(text, await run(program, '0')),
      redo: (now) => askFirst({ ...program, ...now }, { text, run, ...question }),
    })
  return (program) => {
    const name = program.username
    return [
      program.enabled
        ? {
            label: say('disable'),
            icon: 'cross',
            isDestructive: true,
            onChoose: () =>
              askFirst(program, {
                title: say('program.disable', { name }),
                hint: say('program.disable.hint'),
                action: say('disable'),
                text: say('program.isDisabled', { name }),
                run: (one, dryRun) => change(one, false, dryRun),
              }),
          }
        : {
            label: say('enable'),
            icon: 'check',
            onChoose: () =>
              askFirst(program, {
                title: `${say('enable')}: ${name}?`,
                hint: '',
                action: say('enable'),
                isHarmless: true,
                text: say('program.isEnabled', { name }),
                run: (one, dryRun) => change(one, true, dryRun),
              }),
          },
      {
        label: say('delete'),
        icon: 'trash',
        isDestructive: true,
        onChoose: () =>
          askFirst(program, {
            title: say('program.delete', { name }),
            hint: say('program.delete.hint'),
            action: say('delete'),
            text: say('program.deleted', { name }),
            run: remove,
          }),
      },
    ]
  }
}

function NewProgram({ onClose }: { onClose: () => void }) {
  const say = useText()
  const queries = useQueryClient()
  const [, go] = useLocation()
  const [username, setUsername] = useState('')
  const [fullName, setFullName] = useState('')
  const make = async () => {
    const made = await answerOf(
      api.POST('/admin/service-accounts', {
        body: { username: username.trim(), fullName: fullName.trim() || null },
      }),
    )
    notifyDone(say('program.made', { name: username.trim() }))
    await queries.invalidateQueries({ queryKey: ['programs'] })
    if ('id' in made) go(`/service-accounts/${made.id}`)
  }
  return (
    <FormDialog title={say('program.new')} action={say('create')} onSubmit={make} onClose={onClose}>
      <TextInput
        label={say('name')}
        description={say('program.username.hint')}
        required
        value={username}
        onChange={(event) => setUsername(event.currentTarget.value)}
        autoComplete="off"
        classNames={{ input: 'mono' }}
        data-autofocus
      />
      <TextInput
        label={say('program.fullName')}
        value={fullName}
        onChange={(event) => setFullName(event.currentTarget.value)}
      />
    </FormDialog>
  )
}

/** Accounts of programs, on the whole platform. */
export function Programs() {
  const say = useText()
  const { created, state } = useColumns()
  const [ask, dialog] = useConfirm()
  const actionsOf = useProgramActions(ask)
  const [isMaking, setMaking] = useState(false)
  return (
    <>
      <PageHead
        title={say('programs')}
        hint={say('programs.hint')}
        actions={
          <Button leftSection={<Icon name="plus" />} onClick={() => setMaking(true)}>
            {say('program.new')}
          </Button>
        }
      />
      <List<Program>
        label={say('programs')}
        queryKey={['programs']}
        idOf={(one) => one.id}
        nameOf={(one) => one.username}
        search="server"
        load={(query) => answerOf(api.GET('/admin/service-accounts', { params: { query } }))}
        empty={{ icon: 'robot', title: say('programs.empty'), hint: say('programs.empty.hint') }}
        columns={[
          {
            key: 'name',
            title: say('name'),
            sortBy: (one) => one.username,
            show: (one) => (
              <>
                <Link className="row-link" href={`/service-accounts/${one.id}`}>
                  {one.username}
                </Link>
                <span className="sub">{one.fullName}</span>
              </>
            ),
          },
          created((one) => one.createdAt),
          state((one) => one.enabled),
        ]}
        actionsOf={actionsOf}
      />
      {dialog}
      {isMaking && <NewProgram onClose={() => setMaking(false)} />}
    </>
  )
}
