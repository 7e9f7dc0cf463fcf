import { GatewayError } from '../errors.js'
import { exitCodes } from '../domain/exit-codes.js'
import { findOpenLink, listOpenLinks, type OpenLink } from '../directory/issued-queries.js'
import { withdrawFirstAccess } from '../directory/issued.js'
import type { CommandResult } from './routes-command.js'
import { asOperator, heard } from './as-operator.js'
import { said } from './command-result.js'
import { madeOf } from './user-commands.js'

/** More are not printed: the list is for people. */
const mostLinks = 1000

const lineOf = ({ id, username, issuedBy, expiresAt }: OpenLink) =>
  `${id}  ${username}  until ${expiresAt.toISOString()}  issued by ${issuedBy ?? 'the command line'}`

/** `user links`: the links to a first password that still work, newest first. */
export async function listLinks(json: boolean): Promise<CommandResult> {
  return await asOperator(async ({ scope }) => {
    const rows = await scope.see((sql) => listOpenLinks(sql, { after: undefined, atMost: mostLinks }))
    const items = rows.map(({ position: _position, ...link }) => link)
    return said(exitCodes.ok, json, { items }, items.length === 0 ? ['No link works.'] : items.map(lineOf))
  })
}

/** `user withdraw-link`: makes one of them work no more. */
export async function withdrawLink(id: string, json: boolean): Promise<CommandResult> {
  return await asOperator(async ({ scope }) => {
    const { result: link, coherence } = madeOf(
      await scope.change(async (edit) => {
        const open = await findOpenLink(edit.tx, id)
        if (!open)
          throw new GatewayError(
            'not_found',
            `There is no link ${id} that works: mandate-gateway user links lists them`,
          )
        await withdrawFirstAccess(edit, open)
        return open
      }),
    )
    return said(exitCodes.ok, json, { id, userId: link.userId, coherence }, [
      `The link of ${link.username} works no more.`,
      heard(coherence),
    ])
  })
}
