import { SegmentedControl, Select, Text, Textarea } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerOf, api, edit } from '../api/client'
import type { components } from '../api/schema'
import { Breakable } from '../parts/breakable'
import { useConfirm } from '../parts/confirm'
import { useEdited } from '../parts/edited'
import { FormDialog } from '../parts/form-dialog'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { notifyDone } from '../parts/receipts'
import { State } from '../parts/state'
import { useFormat } from '../texts/format'
import { languages, useLanguage, useText, type Language } from '../texts/language'

type Translation = components['schemas']['Translation']

const holesIn = (text: string | null) => [...new Set(text?.match(/\{\w+\}/g) ?? [])]

function EditText({
  translation,
  onClose,
  onSaved,
}: {
  translation: Translation
  onClose: () => void
  onSaved: () => Promise<void>
}) {
  const say = useText()
  const {
    seen,
    fields: { text },
    set,
    takeOver,
  } = useEdited(translation, (item: Translation) => ({ text: item.text }))
  const { language, key, shipped } = seen
  const holes = holesIn(shipped)
  const missing = holes.filter((hole) => !text.includes(hole))
  const save = async () => {
    await answerOf(
      edit(seen).PUT('/system/translations/{language}/{key}', {
        params: { path: { language, key } },
        body: { text: text.trim() },
      }),
    )
    notifyDone(say('wording.saved'))
    await onSaved()
  }
  return (
    <FormDialog
      title={say('wording.edit')}
      action={say('save')}
      onSubmit={save}
      onClose={onClose}
      onTakeOver={takeOver}
    >
      <Text size="sm" className="mono soft">
        {key}
      </Text>
      {shipped !== null && (
        <div>
          <Text size="sm" fw={500}>
            {say('wording.shipped')}
          </Text>
          <Text size="sm" className="quoted" lang={language}>
            {shipped}
          </Text>
        </div>
      )}
      <Textarea
        label={say('wording.text')}
        required
        rows={4}
        maxLength={5000}
        value={text}
        onChange={(event) => set({ text: event.currentTarget.value })}
        lang={language}
        data-autofocus
        {...(missing.length > 0
          ? { error: say('wording.holes.missing', { holes: missing.join(', ') }) }
          : holes.length > 0
            ? { description: say('wording.holes', { holes: holes.join(', ') }) }
            : {})}
      />
    </FormDialog>
  )
}

const places = ['portal', 'console', 'changed'] as const

/** The texts of portal and console in each language, which SysAdmins can change. */
export function Wording() {
  const say = useText()
  const queries = useQueryClient()
  const own = useLanguage()
  const { language: nameOf } = useFormat()
  const [language, setLanguage] = useState<Language>(own)
  const [which, setWhich] = useState<(typeof places)[number]>('portal')
  const [editing, setEditing] = useState<Translation>()
  const [ask, dialog] = useConfirm()
  const refresh = () => queries.invalidateQueries({ queryKey: ['wording'] })
  const reset = async (one: Translation) => {
    const { language: of, key } = one
    await answerOf(
      edit(one).DELETE('/system/translations/{language}/{key}', { params: { path: { language: of, key } } }),
    )
    notifyDone(say('wording.isReset'))
    await refresh()
  }
  const askToReset = (one: Translation) =>
    ask({
      redo: (now) => askToReset({ ...one, ...now }),
      title: say('wording.reset.title'),
      hint: one.shipped === null ? one.text : say('wording.reset.hint', { text: one.shipped }),
      action: say('wording.reset'),
      onConfirm: () => reset(one),
    })
  return (
    <>
      <PageHead
        title={say('wording')}
        hint={say('wording.hint')}
        actions={
          <SegmentedControl<Language>
            aria-label={say('wording.language')}
            value={language}
            onChange={setLanguage}
            data={languages.map(({ code }) => ({ value: code, label: nameOf(code) }))}
          />
        }
      />
      <List<Translation>
        label={say('wording')}
        queryKey={['wording', language, which]}
        idOf={(one) => `${one.language} ${one.key}`}
        nameOf={(one) => one.key}
        search={(one) => `${one.key} ${one.text} ${one.shipped ?? ''}`}
        load={async () => {
          const { items } = await answerOf(
            api.GET('/system/translations', { params: { query: { language } } }),
          )
          return {
            items: items.filter((one) =>
              which === 'changed' ? one.changed : one.key.startsWith(`${which}.`),
            ),
            nextCursor: null,
          }
        }}
        empty={{ icon: 'language', title: say('wording.empty') }}
        isFiltered={which === 'changed'}
        filters={
          <Select<(typeof places)[number]>
            aria-label={say('wording.which')}
            allowDeselect={false}
            w={170}
            value={which}
            onChange={(chosen) => setWhich(chosen ?? 'portal')}
            data={places.map((value) => ({ value, label: say(`wording.${value}.texts`) }))}
          />
        }
        columns={[
          {
            key: 'key',
            title: say('wording.key'),
            sortBy: (one) => one.key,
            show: (one) => (
              <>
                <button type="button" className="row-link mono" onClick={() => setEditing(one)}>
                  <Breakable text={one.key.replace(/^(?:portal|console)\./, '')} />
                </button>
                {one.changed && (
                  <span className="sub">
                    <State kind="warn">{say('wording.changed')}</State>
                  </span>
                )}
              </>
            ),
          },
          {
            key: 'shipped',
            title: say('wording.shipped'),
            isSecondary: true,
            show: (one) =>
              one.shipped === null ? (
                <span className="soft">{say('wording.own')}</span>
              ) : (
                <span lang={one.language} className={one.changed ? 'soft' : ''}>
                  {one.shipped}
                </span>
              ),
          },
          {
            key: 'shown',
            title: say('wording.shown'),
            show: (one) =>
              one.changed ? (
                <span lang={one.language}>{one.text}</span>
              ) : (
                <>
                  <span className="soft wide-only nowrap">{say('wording.same')}</span>
                  <span className="narrow-only" lang={one.language}>
                    {one.text}
                  </span>
                </>
              ),
          },
        ]}
        actionsOf={(one) => [
          { label: say('edit'), icon: 'edit', onChoose: () => setEditing(one) },
          ...(one.changed
            ? [
                {
                  label: say('wording.reset'),
                  icon: 'refresh' as const,
                  isDestructive: true,
                  onChoose: () => askToReset(one),
                },
              ]
            : []),
        ]}
      />
      {dialog}
      {editing && <EditText translation={editing} onClose={() => setEditing(undefined)} onSaved={refresh} />}
    </>
  )
}
