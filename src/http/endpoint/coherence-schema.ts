import { z } from 'zod'

/** The response of a call that takes authority away: no node acts on the old state any more. */
export const coherenceSchema = z
  .strictObject({
    epoch: z.string().meta({ description: "the transaction's id" }),
    acked: z.int().meta({ description: 'nodes that have said that they forgot the old state' }),
    fenced: z
      .int()
      .meta({ description: 'nodes that did not say so in time, and may not answer from memory any more' }),
    waitedMs: z.number(),
  })
  .meta({ id: 'Coherence' })
