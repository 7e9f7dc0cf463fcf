import { useText } from '../texts/language'

/** A state as a word with a colour. The word alone says all. */
export function State({ kind, children }: { kind: 'good' | 'bad' | 'warn' | 'idle'; children: string }) {
  return <span className={`state ${kind}`}>{children}</span>
}

export function EnabledState({ enabled }: { enabled: boolean }) {
  const say = useText()
  return <State kind={enabled ? 'good' : 'bad'}>{say(enabled ? 'enabled' : 'disabled')}</State>
}
