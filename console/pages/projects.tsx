import { Button, Select, Textarea, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import { answerOf, api, edit } from '../api/client'
import { useConfirm } from '../parts/confirm'
import { useEdited } from '../parts/edited'
import { FormDialog } from '../parts/form-dialog'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { NameField } from '../parts/name-field'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { State } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'
import { useClientChoice, usePortalKey, type Project } from './portal-queries'

const kinds = { planned: 'idle', active: 'good', waiting: 'warn', done: 'idle' } as const
const statuses = ['planned', 'active', 'waiting', 'done'] as const
const previewOf = (id: string) => `/projects/${id}/portal-preview`

/**
 * Opens the portal in a tab of its own. A navigation cannot renew the session, so something that can goes
 * before it.
 */
async function openPreview(id: string): Promise<void> {
  const tab = window.open('', '_blank')
  await answerOf(api.GET('/auth/me')).catch(() => undefined) // where it fails, the portal will say so
  if (tab) tab.location.href = previewOf(id)
}

function ProjectForm({ project, onClose }: { project?: Project; onClose: () => void }) {
  const say = useText()
  const queries = useQueryClient()
  const key = usePortalKey()
  const clients = useClientChoice()
  const {
    seen,
    fields: { name, clientName, clientId, status, note },
    set,
    takeOver,
  } = useEdited(project, (item?: Project) => ({
    name: item?.name ?? '',
    clientName: item?.clientName ?? '',
    clientId: item?.clientId ?? null,
    status: item?.status ?? null,
    note: item?.note ?? '',
  }))
  const save = async () => {
    const body = {
      name: name.trim(),
      clientName: clientName.trim() || null,
      clientId,
      status,
      note: note.trim() || null,
    }
    const answer = await answerOf<object>(
      seen
        ? edit(seen).PATCH('/mandate/projects/{id}', { params: { path: { id: seen.id } }, body })
        : api.POST('/mandate/projects', { body }),
    )
    notifyDone(say('project.saved', { name: body.name }), receiptOf(answer))
    await queries.invalidateQueries({ queryKey: key })
  }
  return (
    <FormDialog
      title={say(project ? 'project.edit' : 'project.new')}
      action={say(project ? 'save' : 'create')}
      onSubmit={save}
      onClose={onClose}
      onTakeOver={takeOver}
    >
      <NameField label={say('name')} value={name} onChange={(name) => set({ name })} />
      <Select
        label={say('portalClient')}
        description={say('project.client.hint')}
        placeholder={say('project.noClient')}
        clearable
        searchable
        data={clients.map((one) => ({ value: one.id, label: one.name }))}
        value={clientId}
        onChange={(value) => set({ clientId: value })}
      />
      <TextInput
        label={say('project.clientName')}
        description={say('project.clientName.hint')}
        value={clientName}
        onChange={(event) => set({ clientName: event.currentTarget.value })}
      />
      <Select
        label={say('project.status')}
        clearable
        data={statuses.map((one) => ({ value: one, label: say(`project.status.${one}`) }))}
        value={status}
        onChange={(value) => set({ status: value })}
      />
      <Textarea
        label={say('project.note')}
        description={say('project.note.hint')}
        autosize
        minRows={3}
        maxRows={10}
        value={note}
        onChange={(event) => set({ note: event.currentTarget.value })}
      />
    </FormDialog>
  )
}

/** The projects that clients see in their portal, with a preview. */
export function Projects() {
  const say = useText()
  const { date } = useFormat()
  const queries = useQueryClient()
  const key = usePortalKey()
  const clients = useClientChoice()
  const [ask, dialog] = useConfirm()
  const [editing, setEditing] = useState<Project | 'new'>()
  const remove = async ({ id, ...seen }: Project) => {
    notifyDone(
      say('project.deleted', { name: seen.name }),
      receiptOf(await answerOf(edit(seen).DELETE('/mandate/projects/{id}', { params: { path: { id } } }))),
    )
    await queries.invalidateQueries({ queryKey: key })
  }
  const askToRemove = (one: Project) =>
    ask({
      title: say('project.delete', { name: one.name }),
      hint: say('project.delete.hint'),
      action: say('delete'),
      onConfirm: () => remove(one),
      redo: (now) => askToRemove({ ...one, ...now }),
    })
  const clientOf = ({ clientId, clientName }: Project) => {
    if (clientId === null)
      return (
        <>
          {clientName}
          <span className="sub">{say('project.noClient')}</span>
        </>
      )
    return (
      <Link className="row-link" href={`/portal-clients/${clientId}`}>
        {clients.find((one) => one.id === clientId)?.name ?? clientName ?? say('portalClient')}
      </Link>
    )
  }
  return (
    <>
      <PageHead
        title={say('projects')}
        hint={say('projects.hint')}
        actions={
          <Button leftSection={<Icon name="plus" />} onClick={() => setEditing('new')}>
            {say('project.new')}
          </Button>
        }
      />
      <List<Project>
        label={say('projects')}
        queryKey={[...key, 'projects']}
        idOf={(one) => one.id}
        nameOf={(one) => one.name}
        search={(one) => `${one.name} ${one.clientName ?? ''}`}
        load={({ limit, cursor }) =>
          answerOf(
            api.GET('/mandate/projects', { params: { query: { limit, ...(cursor ? { cursor } : {}) } } }),
          )
        }
        empty={{ icon: 'folder', title: say('projects.empty'), hint: say('projects.empty.hint') }}
        columns={[
          {
            key: 'name',
            title: say('project'),
            sortBy: (one) => one.name,
            show: (one) => <b className="break">{one.name}</b>,
          },
          { key: 'client', title: say('portalClient'), sortBy: (one) => one.clientName, show: clientOf },
          {
            key: 'status',
            title: say('project.status'),
            sortBy: (one) => one.status,
            isSecondary: true,
            show: (one) =>
              one.status ? (
                <State kind={kinds[one.status]}>{say(`project.status.${one.status}`)}</State>
              ) : (
                <span className="soft">–</span>
              ),
          },
          {
            key: 'changed',
            title: say('project.changed'),
            sortBy: (one) => one.updatedAt,
            isSecondary: true,
            show: (one) => date(one.updatedAt),
          },
          {
            key: 'preview',
            title: say('project.preview.column'),
            isSecondary: true,
            show: (one) => (
              <Button
                component="a"
                href={previewOf(one.id)}
                target="_blank"
                variant="default"
                size="compact-sm"
                leftSection={<Icon name="open" size={13} />}
                aria-label={say('project.preview.of', { name: one.name })}
                onClick={(event) => {
                  event.preventDefault()
                  void openPreview(one.id)
                }}
              >
                {say('project.preview')}
              </Button>
            ),
          },
        ]}
        actionsOf={(one) => [
          { label: say('project.preview'), icon: 'open', onChoose: () => void openPreview(one.id) },
          { label: say('edit'), icon: 'edit', onChoose: () => setEditing(one) },
          { label: say('delete'), icon: 'trash', isDestructive: true, onChoose: () => askToRemove(one) },
        ]}
      />
      {dialog}
      {editing && (
        <ProjectForm
          {...(editing === 'new' ? {} : { project: editing })}
          onClose={() => setEditing(undefined)}
        />
      )}
    </>
  )
}
