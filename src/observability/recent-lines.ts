import type { AccessLine } from './access-line.js'

export const levels = ['error', 'warn', 'info', 'debug'] as const
export type Level = (typeof levels)[number]

/** A line of the log, as it was written. */
export interface Line {
  timestamp: string
  level: Level
  message: string
  /** All other fields of the line. */
  fields: Record<string, unknown>
}

/** A search in the log: a line must match all of it. */
export interface Wanted {
  /** Lines of this level or a more severe one. */
  level?: Level | undefined
  requestId?: string | undefined
  /** A part of the line, in any case. */
  text?: string | undefined
  limit: number
}

/** The last lines of the log. */
export interface RecentLines {
  add: (line: Line) => void
  /** Keeps a request's line. It is formatted only when a search reads it. */
  addRequest: (line: AccessLine) => void
  /** Newest first. */
  find: (wanted: Wanted) => Line[]
}

interface Kept {
  atMs: number
  line: Line | AccessLine
}

const isLine = (line: Line | AccessLine): line is Line => 'message' in line

function readable({ atMs, line }: Kept): Line {
  if (isLine(line)) return line
  const fields = Object.fromEntries(Object.entries(line).filter(([, value]) => value !== undefined))
  return { timestamp: new Date(atMs).toISOString(), level: 'info', message: 'request', fields }
}

function matches({ timestamp, level, message, fields }: Line, wanted: Wanted): boolean {
  if (wanted.level !== undefined && levels.indexOf(level) > levels.indexOf(wanted.level)) return false
  if (wanted.requestId !== undefined && fields.requestId !== wanted.requestId) return false
  return (
    wanted.text === undefined ||
    `${timestamp} ${level} ${message} ${JSON.stringify(fields)}`
      .toLowerCase()
      .includes(wanted.text.toLowerCase())
  )
}

/** Returns a ring of the last `most` lines. A new line replaces the oldest. */
export function keepRecentLines(most = 5000): RecentLines {
  const ring: Kept[] = []
  let next = 0
  const keep = (kept: Kept) => {
    ring[next] = kept
    next = (next + 1) % most
  }
  return {
    add: (line) => keep({ atMs: 0, line }),
    addRequest: (line) => keep({ atMs: Date.now(), line }),
    find: (wanted) => {
      const found: Line[] = []
      for (let back = 1; back <= ring.length && found.length < wanted.limit; back += 1) {
        const kept = ring[(next - back + ring.length) % ring.length]
        const line = kept && readable(kept)
        if (line && matches(line, wanted)) found.push(line)
      }
      return found
    },
  }
}
