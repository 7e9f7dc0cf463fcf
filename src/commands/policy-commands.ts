import { isUuid } from '../domain/ids.js'
import { exitCodes } from '../domain/exit-codes.js'
import { policyAreas } from '../domain/assurance-policy.js'
import { GatewayError } from '../errors.js'
import { deleteAreaPolicy, deleteMandatePolicy, findNamedMandate } from '../directory/policy-queries.js'
import type { CommandResult } from './routes-command.js'
import { asOperator, heard } from './as-operator.js'
import { said } from './command-result.js'
import { madeOf } from './user-commands.js'

/** `policy reset`: makes a mandate, or an operators' area, ask nothing any more. */
export async function resetPolicy(place: string, json: boolean): Promise<CommandResult> {
  return await asOperator(async ({ scope }) => {
    const area = policyAreas.find((one) => one === place)
    const { result, coherence } = madeOf(
      await scope.change(async ({ tx, record }) => {
        if (area) {
          const wasThere = await deleteAreaPolicy(tx, area)
          await record({ action: 'policy_changed', subject: `area:${area}`, after: { reset: true } })
          return { wasThere, label: area }
        }
        const mandate = await findNamedMandate(tx, isUuid(place) ? { id: place } : { slug: place })
        if (!mandate)
          throw new GatewayError(
            'not_found',
            `There is no mandate ${place}: name one by slug or id, or name the area admin or system`,
          )
        const wasThere = await deleteMandatePolicy(tx, mandate.id)
        await record({
          mandateId: mandate.id,
          action: 'policy_changed',
          subject: `mandate:${mandate.id}`,
          after: { reset: true },
        })
        return { wasThere, label: mandate.slug }
      }),
    )
    return said(exitCodes.ok, json, { place, wasThere: result.wasThere, coherence }, [
      result.wasThere ? `${result.label} asks nothing any more.` : `${result.label} asked nothing.`,
      heard(coherence),
    ])
  })
}
