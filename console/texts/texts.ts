import { audit } from './audit'
import { common } from './common'
import { directory } from './directory'
import { explain } from './explain'
import { issued } from './issued'
import { logins } from './logins'
import { operations } from './operations'
import { plans } from './plans'
import { problems } from './problems'
import { programs } from './programs'
import { quickStart } from './quick-start'
import { routes } from './routes'
import { wording } from './wording'

/** Every text that people see, as [English, German]. */
export const texts = {
  ...audit,
  ...common,
  ...directory,
  ...explain,
  ...issued,
  ...logins,
  ...operations,
  ...plans,
  ...problems,
  ...programs,
  ...quickStart,
  ...routes,
  ...wording,
} as const satisfies Record<string, readonly [string, string]>

export type TextKey = keyof typeof texts

/** Whether there is a text with this key: of codes that a newer gateway has there may be none. */
export const isTextKey = (key: string): key is TextKey => Object.hasOwn(texts, key)
