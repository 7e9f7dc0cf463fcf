import { useQueryClient } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { answerOf, api } from '../api/client'
import type { components } from '../api/schema'
import type { Question } from '../parts/confirm'
import { ShownOnce } from '../parts/shown-once'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

type User = components['schemas']['ListedUser']

/** A one-time link by which somebody sets a password. */
export interface FirstAccess {
  name: string
  url: string
  expiresAt: string
  /** Whether it replaces an earlier password or link. */
  isReset: boolean
}

/** Shows the link by which somebody sets a password, once. */
export function AccessLink({
  access: { name, url, expiresAt, isReset },
  onClose,
}: {
  access: FirstAccess
  onClose: () => void
}) {
  const say = useText()
  const { dateTime } = useFormat()
  return (
    <ShownOnce
      title={say('user.firstAccess', { name })}
      hint={say(isReset ? 'user.link.made.hint' : 'user.firstAccess.hint', { date: dateTime(expiresAt) })}
      value={url}
      onClose={onClose}
    />
  )
}

/**
 * Makes somebody another link by which they set a password: for those whose first one is lost or over, and
 * for those who forgot theirs.
 */
export function useNewLink(ask: (question: Question) => void): {
  askForLink: (user: User) => void
  linkDialog: ReactNode
} {
  const say = useText()
  const queries = useQueryClient()
  const [access, setAccess] = useState<FirstAccess>()
  const make = async ({ id, username: name }: User) => {
    const made = await answerOf(
      api.POST('/admin/users/{id}/first-access', {
        params: { path: { id }, query: { dryRun: '0' } },
        body: { deliver: 'link' },
      }),
    )
    if ('url' in made && made.url !== null)
      setAccess({ name, isReset: true, url: made.url, expiresAt: made.expiresAt })
    await queries.invalidateQueries({ queryKey: ['users'] })
  }
  const askForLink = (user: User) =>
    ask({
      title: say('user.link.title', { name: user.username }),
      hint: say('user.link.hint'),
      action: say('user.link.make'),
      isHarmless: true,
      onConfirm: () => make(user),
    })
  return {
    askForLink,
    linkDialog: access && <AccessLink access={access} onClose={() => setAccess(undefined)} />,
  }
}
