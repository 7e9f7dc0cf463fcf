import { Button, Group, Select, TextInput, Textarea } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import { useSession } from '../app/session'
import { useConfirm } from '../parts/confirm'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, tellDone } from '../parts/receipts'
import { State } from '../parts/state'
import { useText } from '../texts/language'

type Project = components['schemas']['Project']
const statuses = ['planned', 'active', 'waiting', 'done'] as const
const statusKinds = { planned: 'idle', active: 'good', waiting: 'warn', done: 'idle' } as const

function useClients() {
  const { mandateId } = useSession()
  const { data } = useQuery({ queryKey: ['mandate', mandateId, 'portal clients', 'choice'], queryFn: async () => (await answerOf(api.GET('/mandate/portal-clients', { params: { query: { limit: '200' } } }))).items })
  return data ?? []
}

function ProjectForm({ project, onClose, onDone }: { project?: Project; onClose: () => void; onDone: (text: string, answer: object) => Promise<void> }) {
  const say = useText()
  const clients = useClients()
  const [fields, setFields] = useState({ name: project?.name ?? '', clientName: project?.clientName ?? '', clientId: project?.clientId ?? null, status: project?.status ?? null, note: project?.note ?? '' })
  const set = (change: Partial<typeof fields>) => setFields((before) => ({ ...before, ...change }))
  const save = async () => {
    const body = { ...fields, name: fields.name.trim(), clientName: fields.clientName.trim() || null, note: fields.note.trim() || null }
    const answer = await answerOf<object>(project ? api.PATCH('/mandate/projects/{id}', { params: { path: { id: project.id } }, body }) : api.POST('/mandate/projects', { body }))
    await onDone(say('project.saved', { name: body.name }), answer)
  }
  return (
    <FormDialog title={say(project ? 'project.edit' : 'project.new')} action={say(project ? 'save' : 'create')} onSubmit={save} onClose={onClose}>
      <TextInput label={say('name')} required value={fields.name} onChange={(event) => set({ name: event.currentTarget.value })} data-autofocus />
      <TextInput label={say('project.clientName')} value={fields.clientName} onChange={(event) => set({ clientName: event.currentTarget.value })} />
      <Select label={say('portalClient')} description={say('project.client.hint')} clearable searchable data={clients.map((one) => ({ value: one.id, label: one.name }))} value={fields.clientId} onChange={(clientId) => set({ clientId })} />
      <Select label={say('project.status')} clearable data={statuses.map((one) => ({ value: one, label: say(`project.status.${one}`) }))} value={fields.status} onChange={(value) => set({ status: statuses.find((one) => one === value) ?? null })} />
      <Textarea label={say('project.note')} description={say('project.note.hint')} autosize minRows={2} value={fields.note} onChange={(event) => set({ note: event.currentTarget.value })} />
    </FormDialog>
  )
}

/** The mandate's projects, each with the way to see what its client sees. */
export function Projects() {
  const say = useText()
  const queries = useQueryClient()
  const { mandateId, permissions } = useSession()
  const [ask, dialog] = useConfirm()
  const [editing, setEditing] = useState<Project | 'new'>()
  const clients = useClients()
  const key = ['mandate', mandateId, 'projects']
  const mayPreview = permissions?.['gateway.portal']?.create !== 'n'
  const done = async (text: string, answer: object) => {
    tellDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: key })
  }
  const remove = async ({ id, name }: Project) => done(say('project.deleted', { name }), await answerOf(api.DELETE('/mandate/projects/{id}', { params: { path: { id } } })))
  return (
    <>
      <PageHead title={say('projects')} hint={say('projects.hint')} actions={<Button leftSection={<Icon name="plus" />} onClick={() => setEditing('new')}>{say('project.new')}</Button>} />
      <List<Project>
        label={say('projects')} queryKey={key} idOf={(one) => one.id} nameOf={(one) => one.name} search={(one) => `${one.name} ${one.clientName ?? ''}`}
        load={({ limit, cursor }) => answerOf(api.GET('/mandate/projects', { params: { query: { limit, ...(cursor ? { cursor } : {}) } } }))}
        empty={{ icon: 'folder', title: say('projects.empty'), hint: say('projects.empty.hint') }}
        columns={[
          { key: 'name', title: say('project'), sortBy: (one) => one.name, show: (one) => <><b>{one.name}</b><span className="sub">{one.note}</span></> },
          { key: 'client', title: say('portalClient'), sortBy: (one) => one.clientName, isSecondary: true, show: (one) => <>{clients.find((client) => client.id === one.clientId)?.name ?? <span className="soft">{say('project.noClient')}</span>}<span className="sub">{one.clientName}</span></> },
          { key: 'status', title: say('project.status'), sortBy: (one) => one.status, isSecondary: true, show: (one) => one.status ? <State kind={statusKinds[one.status]}>{say(`project.status.${one.status}`)}</State> : <span className="soft">–</span> },
          { key: 'portal', title: say('portal'), show: (one) => mayPreview
            ? <Button component="a" href={`/projects/${one.id}/portal-preview`} target="_blank" rel="opener" size="compact-xs" variant="default" rightSection={<Icon name="open" size={12} />} aria-label={`${say('project.preview')}: ${one.name}`}>{say('project.preview')}</Button>
            : <Group gap={4} className="soft">–</Group> },
        ]}
        actionsOf={(one) => [
          { label: say('edit'), icon: 'edit', onChoose: () => setEditing(one) },
          { label: say('delete'), icon: 'trash', isDestructive: true, onChoose: () => ask({ title: say('project.delete', { name: one.name }), hint: say('project.delete.hint'), action: say('delete'), onConfirm: () => remove(one) }) },
        ]}
      />
      {dialog}
      {editing && <ProjectForm {...(editing === 'new' ? {} : { project: editing })} onClose={() => setEditing(undefined)} onDone={done} />}
    </>
  )
}
