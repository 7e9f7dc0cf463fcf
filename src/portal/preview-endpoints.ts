import { reason } from '../domain/reasons.js'
import type { Request } from 'express'
import { actorOf, recordChange } from '../audit/record-change.js'
import { previewLabel } from '../authentication/current-client.js'
import { sealKeysOf, sealSession, sessionSeconds } from '../authentication/portal-session.js'
import { judgeMandate, judgeSubject, type Judging } from '../authorization/require-assurance.js'
import { requirePermission } from '../authorization/guards.js'
import type { CoherentTx } from '../coherence/commit-and-await-nodes.js'
import type { Config } from '../config.js'
import { requestedPlace } from '../context/requested-place.js'
import type { MandateTx } from '../database/mandate.js'
import { GatewayError, notFound } from '../errors.js'
import { runStep } from '../http/endpoint/chain.js'
import { portalCookie, setCookie } from '../http/cookies.js'
import { endpoint, idOf, type Endpoint } from '../http/endpoint/endpoint.js'
import { signedIn } from '../http/endpoint/policy.js'
import { insertLink } from './link-queries.js'
import { hashSecret, makeSecret } from '../domain/secrets.js'
import { enterAsGovernor, found, type Rows } from './mandate.js'
import {
  linkProject,
  lockClient,
  upsertPreviewClient,
  usePreviewLink,
  type PreviewClient,
} from './preview-queries.js'
import { findMandateOfProject, findProjectForUpdate, type Project } from './project-queries.js'

interface Dependencies extends Rows {
  config: Pick<Config, 'COOKIE_SECURE' | 'SECRET_KEY' | 'SECRET_KEY_PREVIOUS'>
  /** Lets the caller into a mandate as if the request had named it. */
  enterMandate: (req: Request, mandateId: string) => Promise<void>
  /** By which the policy of the mandate is judged. */
  judging: Judging
}

/** Whoever it is of. A client that is none of this mandate's must never be looked at from here. */
async function linkedClient(tx: MandateTx, clientId: string): Promise<PreviewClient> {
  const client = await lockClient(tx, clientId)
  if (!client)
    throw new GatewayError(
      'conflict',
      "The project's client belongs to another mandate. Link the project to a client of this one.",
    )
  if (!client.active)
    throw new GatewayError(
      'conflict',
      "The project's client is not active. Activate the client, then look at the portal.",
    )
  return client
}

/**
 * The project's own preview client. The short slug is taken where another project with the same beginning was
 * first.
 */
async function previewClient(
  tx: CoherentTx & MandateTx,
  { id, name, clientName }: Project,
): Promise<PreviewClient> {
  const shown = [clientName, name].map((text) => text?.trim()).find(Boolean) ?? 'Preview'
  for (const part of [id.slice(0, 8), id]) {
    const client = await upsertPreviewClient(tx, { projectId: id, slug: `preview-${part}`, name: shown })
    if (client) {
      await linkProject(tx, id, client.id)
      return client
    }
  }
  throw new GatewayError('conflict', `Another project is linked to the client with the slug preview-${id}`)
}

/**
 * The client whose portal is looked at, and the link by which. Whatever of it exists is used again; real
 * links are left alone.
 */
async function openPreview(
  tx: CoherentTx & MandateTx,
  projectId: string,
): Promise<{ clientId: string; linkId: string }> {
  const project = found(await findProjectForUpdate(tx, projectId)) // previews of one project come in turn
  const client =
    project.clientId === null ? await previewClient(tx, project) : await linkedClient(tx, project.clientId)
  const known = await usePreviewLink(tx, client.id, previewLabel)
  // Nobody ever learns the token: only its hash is kept.
  const linkId =
    known ??
    (
      await insertLink(tx, client.id, {
        tokenHash: hashSecret(makeSecret()),
        label: previewLabel,
        expiresAt: null,
      })
    ).id
  return { clientId: client.id, linkId }
}

/** Where the caller is not known at all, the project might as well not exist. */
async function enterAsMember(
  enterMandate: Dependencies['enterMandate'],
  req: Request,
  mandateId: string,
): Promise<void> {
  try {
    await enterMandate(req, mandateId)
  } catch (error) {
    throw error instanceof GatewayError && error.code === 'not_a_member' ? notFound() : error
  }
}

/**
 * The portal as a project's client sees it, for operators. It lies outside `/portal`, so that a proxy that
 * shows the portal to the world does not show this.
 */
export function previewEndpoints({
  config,
  database,
  commitAndAwaitNodes,
  enterMandate,
  judging,
}: Dependencies): Endpoint[] {
  const subject = { context: 'RESOURCE', item: 'gateway.portal', action: 'create' } as const
  const mayCreate = requirePermission(subject)
  return [
    endpoint({
      method: 'get',
      path: '/projects/:id/portal-preview',
      summary:
        "Look at the portal as the project's client sees it: sets the cookie portal_session and leads to the project there. Needs create on RESOURCE gateway.portal in the project's mandate",
      access: signedIn,
      crossSite: 'navigation',
      answers: { 303: null },
      handle: async (call) => {
        const { req, res } = call
        const projectId = idOf(call)
        const named = requestedPlace(req, { mandate: 'optional', instance: 'none' }).mandateId
        const mandate = found(await findMandateOfProject(database, projectId))
        if (named !== undefined && named !== mandate.id) throw notFound()
        await enterAsMember(enterMandate, req, mandate.id)
        await judgeMandate(req, judging)
        await runStep(mayCreate, req, res)
        judgeSubject(req, subject, judging)
        if (!mandate.enabled) throw new GatewayError('conflict', reason('portal_disabled'))

        const { result } = await commitAndAwaitNodes((tx) =>
          enterAsGovernor(tx, req, mandate.id, 'create', async (inside) => {
            const { clientId, linkId } = await openPreview(inside, projectId)
            const after = { operator: req.state.principal?.user.username, clientId, linkId }
            await recordChange(inside, {
              actor: actorOf(req),
              mandateId: mandate.id,
              action: 'portal_preview',
              subject: `project:${projectId}`,
              after,
            })
            return { linkId }
          }),
        )
        setCookie(
          res,
          'portal_session',
          sealSession({ linkId: result.linkId, issuedAt: Math.floor(Date.now() / 1000) }, sealKeysOf(config)),
          portalCookie(config, sessionSeconds),
        )
        return { status: 303, headers: { Location: `/portal?project=${projectId}` } }
      },
    }),
  ]
}
