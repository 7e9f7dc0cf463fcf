import { useText } from '../texts/language'

/** How something is, in a word and a colour; the word alone must do. */
export function State({ kind, children }: { kind: 'good' | 'bad' | 'warn' | 'idle'; children: string }) {
  return <span className={`state ${kind}`}>{children}</span>
}

export function EnabledState({ enabled }: { enabled: boolean }) {
  const say = useText()
  return <State kind={enabled ? 'good' : 'bad'}>{say(enabled ? 'enabled' : 'disabled')}</State>
}
