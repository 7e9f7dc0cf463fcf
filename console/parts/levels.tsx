import { useText } from '../texts/language'

export const actions = ['read', 'create', 'update', 'delete'] as const
export type Action = (typeof actions)[number]
export const levels = ['n', 'm', 'g', 'a'] as const
export type Level = (typeof levels)[number]

/** The permissions of a rule. */
export type Grant = { view: boolean } & Record<Action, Level>

export const nothing: Grant = { view: false, read: 'n', create: 'n', update: 'n', delete: 'n' }

/** Returns the permissions of a rule without its subject. */
export const grantOf = ({ view, read, create, update, delete: remove }: Grant): Grant => ({
  view,
  read,
  create,
  update,
  delete: remove,
})

export const isSame = (one: Grant, other: Grant) =>
  one.view === other.view && actions.every((action) => one[action] === other[action])

/** Writes the permissions of a rule in words, without those that are none. */
export function useGrantText(): (grant: Grant) => string {
  const say = useText()
  return (grant) =>
    [
      ...(grant.view ? [say('rule.view')] : []),
      ...actions
        .filter((action) => grant[action] !== 'n')
        .map((action) => `${say(`rule.${action}`)} ${say(`level.${grant[action]}`)}`),
    ].join(', ') || say('rule.nothing')
}
