import type { AuditLog } from '../audit/audit-log.js'
import { recordPlatformEntry } from '../audit/record-platform-entry.js'
import type { CommitAndAwaitNodes } from '../coherence/commit-and-await-nodes.js'
import type { Directory } from '../coherence/directory.js'
import type { Config } from '../config.js'
import type { LastUses } from '../authorization/last-uses.js'
import { enterMandate } from '../context/resolve-context.js'
import type { Database } from '../database/connect.js'
import type { Endpoint } from '../http/endpoint/endpoint.js'
import type { Language } from '../domain/languages.js'
import { clientEndpoints } from './clients-endpoints.js'
import { linkEndpoints } from './links-endpoints.js'
import type { PortalPlace } from './pages.js'
import { portalEndpoints } from './portal-endpoints.js'
import { previewEndpoints } from './preview-endpoints.js'
import { projectEndpoints } from './projects-endpoints.js'
import { portalSessionEndpoints } from './session-endpoints.js'
import type { TextsOf } from './texts.js'

interface Dependencies {
  config: Pick<Config, 'COOKIE_SECURE' | 'SECRET_KEY' | 'SECRET_KEY_PREVIOUS'>
  database: Database
  directory: Directory
  audit: AuditLog
  publicUrl: () => string
  commitAndAwaitNodes: CommitAndAwaitNodes
  textsOf: TextsOf
  lastUses: LastUses
  /** Told of a member who enters, and whose profile the mandate does not see yet. */
  onFirstEntry: (membershipId: string) => void
  /** Where the routes with `auth: portal` lead to, for a project. */
  placesOf: (projectId: string, language: Language) => PortalPlace[]
}

/** What clients of mandates see, and what those govern who run the portal. */
export function allOfThePortal({
  config,
  database,
  directory,
  audit,
  publicUrl,
  commitAndAwaitNodes,
  textsOf,
  onFirstEntry,
  lastUses,
  placesOf,
}: Dependencies): Endpoint[] {
  const rows = { database, commitAndAwaitNodes }
  return [
    ...portalSessionEndpoints({ config, database, textsOf }),
    ...portalEndpoints({ database, textsOf, placesOf }),
    ...projectEndpoints(rows),
    ...clientEndpoints(rows),
    ...linkEndpoints({ ...rows, publicUrl }),
    ...previewEndpoints({
      ...rows,
      config,
      enterMandate: enterMandate({ directory, onPlatformEntry: recordPlatformEntry(audit), onFirstEntry }),
      judging: { directory, lastUses, onUse: (sessionId, atMs) => lastUses.note(sessionId, atMs) },
    }),
  ]
}
