/** How far a rule reaches: none, my own, my group, all. */
export const levels = ['n', 'm', 'g', 'a'] as const
export type Level = (typeof levels)[number]

/** What a request does with the item that a rule is about. */
export const actions = ['read', 'create', 'update', 'delete'] as const
export type Action = (typeof actions)[number]

/** What kind of item a rule is about. */
export const ruleContexts = ['DATA', 'UI', 'RESOURCE'] as const
export type RuleContext = (typeof ruleContexts)[number]
