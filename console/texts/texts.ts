import { common } from './common'
import { directory } from './directory'
import { operations } from './operations'
import { plans } from './plans'
import { quickStart } from './quick-start'

/** Every text that people see, as [English, German]. */
export const texts = { ...common, ...directory, ...operations, ...plans, ...quickStart } as const satisfies Record<string, readonly [string, string]>

export type TextKey = keyof typeof texts
