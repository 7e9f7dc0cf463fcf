import { fieldError } from '../domain/reasons.js'
import { z } from 'zod'
import { endpoint, type Endpoint } from '../http/endpoint/endpoint.js'
import { sysAdmins } from '../http/endpoint/policy.js'
import type { Log } from '../observability/logger.js'
import { levels } from '../observability/recent-lines.js'

const level = z.enum(levels, `must be one of ${levels.join(', ')}`)
const line = z
  .strictObject({
    timestamp: z.iso.datetime(),
    level,
    message: z.string(),
    fields: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'LogLine' })
const query = z.object({
  level: level.optional().meta({ description: 'lines of this level, and graver ones' }),
  requestId: z.string().max(128).optional(),
  text: z.string().max(200).optional().meta({ description: 'a part of the line, in any case' }),
  limit: z
    .string()
    .regex(/^[1-9]\d{0,8}$/, fieldError('whole_number'))
    .transform((value) => Math.min(Number(value), 200))
    .default(50),
})

/** The log of the process that answers: what it wrote last, and how much it writes. */
export function logEndpoints({
  log,
}: {
  log: Pick<Log, 'recent' | 'level' | 'setLevel'> & { logger: Pick<Log['logger'], 'warn'> }
}): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/system/logs',
      summary: 'Read the lines that the answering process wrote last, newest first',
      access: sysAdmins,
      query,
      answers: { 200: z.strictObject({ items: z.array(line), nextCursor: z.null(), level }) },
      handle: ({ query: wanted }) => ({
        status: 200,
        body: { items: log.recent.find(wanted), nextCursor: null, level: log.level() },
      }),
    }),
    endpoint({
      method: 'put',
      path: '/system/logs',
      unversioned: true,
      summary: 'Change how much the answering process writes, until it ends',
      access: sysAdmins,
      body: z.strictObject({ level }),
      answers: { 200: z.strictObject({ level }) },
      handle: ({ req, body }) => {
        const before = log.level()
        log.setLevel(body.level)
        log.logger.warn('the log’s level was changed', {
          from: before,
          to: body.level,
          requestId: req.state.id,
          user: req.state.principal?.user.id,
        })
        return { status: 200, body: { level: body.level } }
      },
    }),
  ]
}
