import { z } from 'zod'
import { levels } from '../domain/permissions.js'
import { coherenceSchema } from '../http/endpoint/coherence-schema.js'
import type { Answer } from '../http/endpoint/endpoint.js'
import { etagOf } from '../http/endpoint/etag.js'
import { permissionChangesOf, type Effect } from './authority.js'
import type { ChangeOutcome } from './scope.js'

const dryRun = z
  .enum(['0', '1', 'true', 'false'], 'must be 1 or 0')
  .default('0')
  .transform((value) => value === '1' || value === 'true')
  .meta({ description: '1: answer what would change, and change nothing' })

/** The query of every call that changes something. */
export const changeQuery = z.strictObject({ dryRun })

const level = z.enum(levels)
const permission = z.strictObject({
  view: z.boolean(),
  read: level,
  create: level,
  update: level,
  delete: level,
})
const ended = z.strictObject({ count: z.int(), ids: z.array(z.uuid()) })

const preview = z
  .strictObject({
    dryRun: z.literal(true),
    sessions: ended.meta({ description: 'that would end' }),
    tokens: ended.meta({ description: 'that would not be accepted any more' }),
    permissions: z.strictObject({
      count: z.int(),
      items: z.array(
        z.strictObject({
          userId: z.uuid(),
          username: z.string(),
          mandateId: z.uuid(),
          instanceId: z.uuid().nullable(),
          context: z.string(),
          item: z.string().nullable().meta({ description: 'null: every item that no rule names' }),
          before: permission,
          after: permission,
        }),
      ),
      unseen: z.int().meta({
        description: 'memberships and accesses that the change concerns beside those that were looked at',
      }),
    }),
  })
  .meta({ id: 'Preview', description: 'What a call with ?dryRun=1 would change' })

/** Flips and ids that a preview lists; it counts the others. */
const listed = 200

/** Returns the body of a preview. */
export function previewOf({ changes, unseen, sessions, tokens }: Effect): z.infer<typeof preview> {
  const permissionChanges = changes.flatMap((change) => {
    const { holder, mandateId, instanceId } = change
    return holder
      ? permissionChangesOf(change).map((permissionChange) => ({
          userId: holder.userId,
          username: holder.username,
          mandateId,
          instanceId,
          ...permissionChange,
        }))
      : []
  })
  const first = (ids: string[]) => ({ count: ids.length, ids: ids.slice(0, listed) })
  return {
    dryRun: true,
    sessions: first(sessions),
    tokens: first(tokens),
    permissions: { count: permissionChanges.length, items: permissionChanges.slice(0, listed), unseen },
  }
}

/** Returns the schema of a preview that tells more. */
export const previewWith = (fields: z.ZodRawShape) => preview.extend(fields)

/** The good answers of a call that changes an item, given the fields of what it answers. */
export const changedAnswers = (fields: z.ZodRawShape) => ({
  200: z.union([z.strictObject({ ...fields, coherence: coherenceSchema }), preview]),
})

/** The good answers of a call that makes an item. */
export const createdAnswers = (fields: z.ZodRawShape) => ({
  201: z.strictObject({ ...fields, coherence: coherenceSchema }),
  200: preview,
})

/**
 * What has been changed, with what all nodes have heard; or the preview. `extra` belongs to this answer and
 * not to the representation.
 */
export function answerChanged<Result extends object>(
  outcome: ChangeOutcome<Result>,
  extra: (result: Result) => object = () => ({}),
): Answer {
  if ('effect' in outcome) return { status: 200, body: previewOf(outcome.effect) }
  const { result, coherence } = outcome
  return { status: 200, body: { ...result, ...extra(result), coherence }, headers: { ETag: etagOf(result) } }
}

/** As `answerChanged`, of something that is new and found at a path. */
export function answerCreated<Result extends object>(
  outcome: ChangeOutcome<Result>,
  location: (result: Result) => string,
  extra?: (result: Result) => object,
): Answer {
  const answer = answerChanged(outcome, extra)
  return 'effect' in outcome
    ? answer
    : { ...answer, status: 201, headers: { ...answer.headers, Location: location(outcome.result) } }
}

/** As `answerChanged`, of something that is gone. */
export function answerDeleted(outcome: ChangeOutcome<unknown>): Answer {
  return 'effect' in outcome
    ? { status: 200, body: previewOf(outcome.effect) }
    : { status: 200, body: { coherence: outcome.coherence } }
}

/** An item, with the validator that a change of it may send back. */
export const answerItem = (item: object): Answer => ({
  status: 200,
  body: item,
  headers: { ETag: etagOf(item) },
})

/** The good answers of a call that deletes an item. */
export const deletedAnswers = { 200: z.union([z.strictObject({ coherence: coherenceSchema }), preview]) }
