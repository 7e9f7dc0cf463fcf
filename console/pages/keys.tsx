import { Button } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { answerOf, api, unversioned } from '../api/client'
import type { components } from '../api/schema'
import { useConfirm } from '../parts/confirm'
import { Icon } from '../parts/icons'
import { List } from '../parts/list'
import { PageHead } from '../parts/page-head'
import { receiptOf, notifyDone } from '../parts/receipts'
import { State } from '../parts/state'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type Key = components['schemas']['Key']
const kinds = { signing: 'good', verifying: 'warn', retired: 'idle' } as const

/**
 * The key that signs access tokens comes from the environment: it is retired once the nodes have another one.
 */
const isRetirable = ({ state, use }: Key) =>
  state !== 'retired' && use !== 'seal' && !(use === 'access_token' && state === 'signing')

/** The keys of the gateway, without their secrets. */
export function Keys() {
  const say = useText()
  const { dateTime } = useFormat()
  const queries = useQueryClient()
  const [ask, dialog] = useConfirm()
  const done = async (text: string, answer: object) => {
    notifyDone(text, receiptOf(answer))
    await queries.invalidateQueries({ queryKey: ['keys'] })
  }
  const askToRotate = () =>
    ask({
      title: say('key.rotate.title'),
      hint: say('key.rotate.hint'),
      action: say('key.rotate'),
      isHarmless: true,
      onConfirm: async () => done(say('key.rotated'), await answerOf(api.POST('/system/keys/rotate'))),
    })
  const retire = async (kid: string) =>
    done(
      say('key.isRetired'),
      await answerOf(unversioned.DELETE('/system/keys/{kid}', { params: { path: { kid } } })),
    )
  return (
    <>
      <PageHead
        title={say('keys')}
        hint={say('keys.hint')}
        actions={
          <Button leftSection={<Icon name="refresh" size={14} />} onClick={askToRotate}>
            {say('key.rotate')}
          </Button>
        }
      />
      <List<Key>
        label={say('keys')}
        queryKey={['keys']}
        idOf={(key) => `${key.use} ${key.kid}`}
        nameOf={(key) => key.kid}
        load={async () => ({ ...(await answerOf(api.GET('/system/keys'))), nextCursor: null })}
        empty={{ icon: 'key', title: say('keys.empty') }}
        columns={[
          {
            key: 'kid',
            title: say('key.id'),
            sortBy: (key) => key.kid,
            show: (key) => <span className="mono break">{key.kid}</span>,
          },
          {
            key: 'use',
            title: say('key.use'),
            sortBy: (key) => key.use,
            show: (key) => say(`key.use.${key.use}`),
          },
          {
            key: 'algorithm',
            title: say('key.algorithm'),
            sortBy: (key) => key.algorithm,
            isSecondary: true,
            show: (key) => key.algorithm,
          },
          {
            key: 'since',
            title: say('key.since'),
            sortBy: (key) => key.since,
            isSecondary: true,
            show: (key) => (key.since ? dateTime(key.since) : <span className="soft">–</span>),
          },
          {
            key: 'state',
            title: say('state'),
            sortBy: (key) => key.state,
            show: (key) => <State kind={kinds[key.state]}>{say(`key.state.${key.state}`)}</State>,
          },
        ]}
        actionsOf={(key) =>
          !isRetirable(key)
            ? []
            : [
                {
                  label: say('key.retire'),
                  icon: 'cross',
                  isDestructive: true,
                  onChoose: () =>
                    ask({
                      title: say('key.retire.title'),
                      hint: say(`key.retire.hint.${key.use === 'identity' ? 'identity' : 'access_token'}`),
                      action: say('key.retire'),
                      onConfirm: () => retire(key.kid),
                    }),
                },
              ]
        }
      />
      {dialog}
    </>
  )
}
