import { Badge } from '@mantine/core'
import type { Column } from '../parts/list-row'
import { useFormat } from '../texts/format'
import { useText } from '../texts/language'

interface ListedSession {
  id: string
  authority: string
  createdAt: string
  lastSeenAt: string
  address: string | null
  userAgent: string | null
  current?: boolean
}

const browsers: [RegExp, string][] = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\//, 'Firefox'],
  [/Chrom(?:e|ium)\//, 'Chrome'],
  [/Safari\//, 'Safari'],
  [/curl\//, 'curl'],
]
const systems: [RegExp, string][] = [
  [/Windows/, 'Windows'],
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Mac OS X/, 'macOS'],
  [/Linux|X11/, 'Linux'],
]
const first = (choices: [RegExp, string][], text: string) =>
  choices.find(([pattern]) => pattern.test(text))?.[1]

/** Returns the name of a device; the `User-Agent` header where it has none. */
function deviceOf(userAgent: string | null): string | undefined {
  if (!userAgent) return undefined
  const words = [first(browsers, userAgent), first(systems, userAgent)].filter((one) => one !== undefined)
  return words.length > 0 ? words.join(', ') : userAgent.slice(0, 60)
}

/** Returns the columns of lists of sessions. */
export function useSessionColumns(): Column<ListedSession>[] {
  const say = useText()
  const { ago, dateTime } = useFormat()
  return [
    {
      key: 'device',
      title: say('session.device'),
      sortBy: (one) => deviceOf(one.userAgent) ?? null,
      show: (one) => (
        <span title={one.userAgent ?? ''}>
          <b>{deviceOf(one.userAgent) ?? say('session.device.unknown')}</b>
          {one.current && <Badge ml={8}>{say('session.here')}</Badge>}
        </span>
      ),
    },
    {
      key: 'address',
      title: say('session.address'),
      sortBy: (one) => one.address,
      isSecondary: true,
      show: (one) => <span className="mono">{one.address ?? '–'}</span>,
    },
    {
      key: 'authority',
      title: say('session.authority'),
      sortBy: (one) => one.authority,
      isSecondary: true,
      show: (one) => one.authority,
    },
    {
      key: 'began',
      title: say('session.began'),
      sortBy: (one) => one.createdAt,
      isSecondary: true,
      show: (one) => dateTime(one.createdAt),
    },
    {
      key: 'seen',
      title: say('session.seen'),
      sortBy: (one) => one.lastSeenAt,
      show: (one) => (
        <span className="nowrap" title={dateTime(one.lastSeenAt)}>
          {ago(one.lastSeenAt)}
        </span>
      ),
    },
  ]
}
