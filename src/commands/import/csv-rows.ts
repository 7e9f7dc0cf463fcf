import { createReadStream } from 'node:fs'

/** A row of the old side: its values by column, and where it stands. */
export interface SourceRow {
  /** The line of a file, or the number of a query's row. */
  row: number
  values: Record<string, unknown>
}

/** The longest cell: a quote that is never closed does not take the whole file into memory. */
const longestCell = 1_000_000

/** Splits text into records (RFC 4180), as it comes. A cell without quotes and without text is null. */
class CsvParser {
  private cell = ''
  private record: (string | null)[] = []
  private state: 'plain' | 'quoted' | 'closed' = 'plain'
  private line = 1
  private startedAt = 1
  private isAfterReturn = false

  constructor(private readonly file: string) {}

  *take(text: string): Generator<{ row: number; cells: (string | null)[] }> {
    for (const char of text) {
      const ended = this.add(char)
      if (ended) yield ended
      if (char === '\n') this.line += 1
      if (this.record.length === 0 && this.cell === '' && this.state === 'plain') this.startedAt = this.line
    }
  }

  *end(): Generator<{ row: number; cells: (string | null)[] }> {
    if (this.state === 'quoted') throw new Error(`${this.file}:${this.startedAt}: a quote is not closed`)
    if (this.cell !== '' || this.record.length > 0 || this.state === 'closed') yield this.finish()
  }

  private add(char: string): ReturnType<CsvParser['finish']> | undefined {
    const wasReturn = this.isAfterReturn
    this.isAfterReturn = char === '\r' && this.state !== 'quoted'
    if (this.isAfterReturn) return undefined
    if (wasReturn && char !== '\n')
      throw new Error(`${this.file}:${this.line}: a carriage return stands outside quotes`)
    if (this.state === 'quoted') {
      this.addQuoted(char)
      return undefined
    }
    if (char === '\n')
      return this.record.length === 0 && this.cell === '' && this.state === 'plain'
        ? undefined
        : this.finish()
    if (char === ',') this.push()
    else if (char === '"' && this.state === 'closed') {
      this.cell += '"' // two quotes within quotes are one
      this.state = 'quoted'
    } else if (char === '"' && this.cell === '') this.state = 'quoted'
    else if (this.state === 'closed')
      throw new Error(`${this.file}:${this.line}: text stands behind a closing quote`)
    else this.append(char)
    return undefined
  }

  private addQuoted(char: string): void {
    if (char === '"') this.state = 'closed'
    else this.append(char)
  }

  private append(char: string): void {
    if (this.cell.length >= longestCell)
      throw new Error(
        `${this.file}:${this.startedAt}: a cell is longer than ${longestCell} characters; is a quote not closed?`,
      )
    this.cell += char
  }

  private push(): void {
    this.record.push(this.cell === '' && this.state === 'plain' ? null : this.cell)
    this.cell = ''
    this.state = 'plain'
  }

  private finish(): { row: number; cells: (string | null)[] } {
    this.push()
    const cells = this.record
    this.record = []
    return { row: this.startedAt, cells }
  }
}

/** Reads a CSV file with a header, row by row (UTF-8, RFC 4180). Rejects with file and line. */
export async function* csvRows(file: string): AsyncGenerator<SourceRow> {
  const parser = new CsvParser(file)
  let header: string[] | undefined
  const rowsOf = function* (
    records: Iterable<{ row: number; cells: (string | null)[] }>,
  ): Generator<SourceRow> {
    for (const { row, cells } of records) {
      if (!header) {
        header = cells.map((cell) => (cell ?? '').replace(/^\ufeff/, ''))
        continue
      }
      if (cells.length !== header.length)
        throw new Error(`${file}:${row}: has ${cells.length} cells, and the header ${header.length}`)
      const names = header
      yield { row, values: Object.fromEntries(cells.map((cell, index) => [names[index] ?? '', cell])) }
    }
  }
  for await (const chunk of createReadStream(file, 'utf8')) yield* rowsOf(parser.take(String(chunk)))
  yield* rowsOf(parser.end())
  if (!header)
    throw new Error(`${file}:1: the file is empty: it needs a header with the names of its columns`)
}
