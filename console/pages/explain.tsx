import { Autocomplete, Button, SegmentedControl, Select, TextInput } from '@mantine/core'
import { useMediaQuery } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { useState, type SyntheticEvent } from 'react'
import { useSearchParams } from 'wouter'
import { ProblemError } from '../../packages/client/src/index'
import { answerOf, api } from '../api/client'
import type { Realm } from '../api/realms'
import { useSession } from '../app/session'
import { Empty } from '../parts/empty'
import { FaultNote } from '../parts/fault'
import { Icon } from '../parts/icons'
import { actions } from '../parts/levels'
import { PageHead } from '../parts/page-head'
import { Waiting } from '../parts/waiting'
import { useText } from '../texts/language'
import { InstanceChoice, MandateChoice, PersonChoice } from './choices'
import { Answer } from './explain-answer'
import {
  addressOf,
  contexts,
  explain,
  isWhole,
  methods,
  modeOf,
  ofMode,
  questionOf,
  type Mode,
  type Question,
} from './explain-question'

interface FieldsProps {
  question: Question
  set: (change: Partial<Question>) => void
}

const ownItems = ['gateway.audit', 'gateway.instances', 'gateway.members', 'gateway.portal', 'gateway.roles']

/** Returns the items that rules or routes name. */
function useItems(realm: Realm, context: string): string[] {
  const { mandateId } = useSession()
  const { data = [] } = useQuery({
    queryKey: [realm, realm === 'mandate' ? mandateId : '', 'items'],
    retry: false,
    queryFn: async () => {
      if (realm === 'platform')
        return (await answerOf(api.GET('/admin/catalog', { params: { query: { limit: '200' } } }))).items
      const rules = (await answerOf(api.GET('/mandate/rules', { params: { query: { limit: '200' } } }))).items
      return [...ownItems.map((item) => ({ context: 'RESOURCE', item })), ...rules]
    },
  })
  return [...new Set(data.flatMap((one) => (one.context === context && one.item ? [one.item] : [])))].sort()
}

function ItemFields({ question, set, realm }: FieldsProps & { realm: Realm }) {
  const say = useText()
  const items = useItems(realm, question.context || contexts[0])
  return (
    <>
      <Select
        label={say('rule.context')}
        data={[...contexts]}
        value={question.context || contexts[0]}
        onChange={(context) => set({ context: context ?? '' })}
        allowDeselect={false}
      />
      <Autocomplete
        label={say('rule.item')}
        placeholder={say('rule.item.all')}
        description={say('explain.item.hint')}
        inputWrapperOrder={['label', 'input', 'description']}
        data={items}
        value={question.item}
        onChange={(item) => set({ item })}
        classNames={{ input: 'mono' }}
      />
      <Select
        label={say('explain.action')}
        data={actions.map((action) => ({ value: action, label: say(`rule.${action}`) }))}
        value={question.action || actions[0]}
        onChange={(action) => set({ action: action ?? '' })}
        allowDeselect={false}
      />
    </>
  )
}

function PathFields({ question, set }: FieldsProps) {
  const say = useText()
  return (
    <>
      <Select
        label={say('explain.method')}
        data={[...methods]}
        value={question.method || methods[0]}
        onChange={(method) => set({ method: method ?? '' })}
        allowDeselect={false}
      />
      <TextInput
        className="span-2"
        label={say('explain.path')}
        description={say('explain.path.hint')}
        inputWrapperOrder={['label', 'input', 'description']}
        required
        value={question.path}
        onChange={(event) => set({ path: event.currentTarget.value })}
        classNames={{ input: 'mono' }}
      />
    </>
  )
}

function QuestionForm({
  realm,
  asked,
  onAsk,
}: {
  realm: Realm
  asked: Question
  onAsk: (question: Partial<Question>) => void
}) {
  const say = useText()
  const [mode, setMode] = useState<Mode>(modeOf(asked))
  const [question, setQuestion] = useState(asked)
  const { mandateId } = useSession()
  const isNarrow = useMediaQuery('(max-width: 36em)')
  const set = (change: Partial<Question>) => setQuestion((before) => ({ ...before, ...change }))
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    onAsk(
      ofMode(
        {
          ...question,
          context: question.context || contexts[0],
          action: question.action || actions[0],
          method: question.method || methods[0],
        },
        mode,
      ),
    )
  }
  return (
    <form className="card padded question" onSubmit={submit} aria-label={say('explain')}>
      <SegmentedControl<Mode>
        {...(isNarrow ? { orientation: 'vertical' as const, fullWidth: true, w: '100%' } : {})}
        aria-label={say('explain.mode')}
        value={mode}
        onChange={setMode}
        data={[
          { value: 'item', label: say('explain.mode.item') },
          { value: 'path', label: say('explain.mode.path') },
          { value: 'refusal', label: say('explain.mode.refusal') },
        ]}
      />
      <div className="question-fields">
        {mode === 'refusal' ? (
          <TextInput
            className="span-2"
            label={say('explain.request')}
            description={say('explain.request.hint')}
            inputWrapperOrder={['label', 'input', 'description']}
            required
            value={question.request}
            onChange={(event) => set({ request: event.currentTarget.value })}
            classNames={{ input: 'mono' }}
          />
        ) : (
          <>
            <PersonChoice
              realm={realm}
              by="username"
              required
              value={question.user || null}
              onChange={(user) => set({ user: user ?? '' })}
            />
            {realm === 'platform' && (
              <MandateChoice
                value={question.mandate || null}
                onChange={(mandate) => set({ mandate: mandate ?? '', instance: '' })}
              />
            )}
            <InstanceChoice
              realm={realm}
              mandateId={realm === 'mandate' ? mandateId : question.mandate || undefined}
              value={question.instance || null}
              onChange={(instance) => set({ instance: instance ?? '' })}
            />
            {mode === 'item' ? (
              <ItemFields question={question} set={set} realm={realm} />
            ) : (
              <PathFields question={question} set={set} />
            )}
          </>
        )}
      </div>
      <Button
        type="submit"
        leftSection={<Icon name="help" size={14} />}
        disabled={mode === 'refusal' ? question.request.trim() === '' : question.user === ''}
      >
        {say('explain.ask')}
      </Button>
    </form>
  )
}

function ExplainIn({ realm }: { realm: Realm }) {
  const say = useText()
  const { mandateId } = useSession()
  const [params, setParams] = useSearchParams()
  const asked = questionOf(params)
  const address = addressOf(asked)
  const isAsked = isWhole(asked)
  const { data, error, refetch, isFetching } = useQuery({
    queryKey: [realm, realm === 'mandate' ? mandateId : '', 'explain', address],
    enabled: isAsked,
    staleTime: 0,
    gcTime: 0,
    retry: false,
    queryFn: () => explain(realm, asked),
  })
  const ask = (question: Partial<Question>) => {
    if (addressOf(question) === address) void refetch()
    else setParams(new URLSearchParams(addressOf(question)))
  }
  const isUnknown = error instanceof ProblemError && error.problem.code === 'not_found'
  return (
    <>
      <PageHead title={say('explain')} hint={say('explain.hint')} />
      <QuestionForm key={address} realm={realm} asked={asked} onAsk={ask} />
      {!isAsked ? (
        <Empty icon="help" title={say('explain.none')} hint={say('explain.none.hint')} />
      ) : error ? (
        isUnknown ? (
          <Empty
            icon="search"
            title={say('explain.unknown')}
            hint={asked.request ? say('explain.unknownRequest') : error.problem.detail}
          />
        ) : (
          <FaultNote error={error} onRetry={() => void refetch()} />
        )
      ) : data && !isFetching ? (
        <Answer verdict={data} realm={realm} />
      ) : (
        <Waiting />
      )}
    </>
  )
}

export const Explain = () => <ExplainIn realm="mandate" />
export const ExplainAnywhere = () => <ExplainIn realm="platform" />
