import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { hasCode } from '../errors.js'
import { flushToDisk, unlessMissing } from '../domain/unless-missing.js'
import type { Logger } from '../observability/logger.js'
import type { DatedAuditEvent } from './event.js'

/** Events that the database could not take, on this machine's disk. */
export interface Spill {
  /** Writes events durably. Rejects when the disk does not take them, or when they exceed the limit. */
  save: (events: DatedAuditEvent[]) => Promise<void>
  /**
   * Passes the events on disk to `write`, file by file, and deletes each file afterwards. Returns how many
   * events there were.
   */
  replay: (write: (events: DatedAuditEvent[]) => Promise<void>) => Promise<number>
}

const ending = '.jsonl'
/** Some hundred thousand events. A flood during an outage must not fill the disk. */
const maxBytes = 256 * 1024 * 1024

const line = z.object({
  id: z.uuid(),
  occurredAt: z.iso.datetime().transform((text) => new Date(text)),
  userId: z.string().nullable(),
  mandateId: z.string(),
  action: z.string(),
  details: z.record(z.string(), z.unknown()),
  requestId: z.string().nullable(),
})

async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Opens the spill in `directory`. Each file is complete when it gets its name. Any process of this machine
 * may write it to the database, even two at once: an existing event is not written again.
 */
export function openSpill(directory: string, logger: Logger): Spill {
  const parts = async () => {
    const names = (await unlessMissing(readdir(directory))) ?? []
    return names
      .filter((name) => name.endsWith(ending))
      .sort()
      .map((name) => path.join(directory, name))
  }
  const bytes = async () => {
    const sizes = (await parts()).map(async (file) => (await stat(file).catch(() => undefined))?.size ?? 0)
    return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
  }
  const read = async (file: string): Promise<DatedAuditEvent[]> => {
    try {
      return (await readFile(file, 'utf8'))
        .split('\n')
        .filter(Boolean)
        .map((text) => line.parse(JSON.parse(text)))
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [] // another process was faster
      logger.error('audit events on disk cannot be read; the file is left aside', {
        file: `${file}.unreadable`,
        error,
      })
      await rename(file, `${file}.unreadable`)
      return []
    }
  }
  return {
    save: async (events) => {
      const text = events.map((event) => `${JSON.stringify(event)}\n`).join('')
      if ((await bytes()) + Buffer.byteLength(text) > maxBytes)
        throw new Error(`the audit's events on disk would be more than ${maxBytes} bytes`)
      await mkdir(directory, { recursive: true, mode: 0o700 })
      const file = path.join(directory, `${String(Date.now()).padStart(15, '0')}-${randomUUID()}${ending}`)
      try {
        await writeDurably(`${file}.part`, text)
        await rename(`${file}.part`, file)
      } catch (error) {
        // Each failed try would take space of a full disk.
        await rm(`${file}.part`, { force: true })
        throw error
      }
      await flushToDisk(directory)
    },
    replay: async (write) => {
      let count = 0
      for (const file of await parts()) {
        const events = await read(file)
        await write(events)
        await rm(file, { force: true })
        count += events.length
      }
      return count
    },
  }
}
