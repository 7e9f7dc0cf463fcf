import type { Sql, Tx } from '../database/connect.js'

/** A text that SysAdmins have put in place of the shipped one. */
export interface ChangedText {
  language: string
  key: string
  text: string
}

/** The changed texts, of one language or of all, by key. */
export async function listChangedTexts(sql: Sql, language?: string): Promise<ChangedText[]> {
  return await sql.rows(
    'select language, key, text from translations where ?::text is null or language = ? order by language, key',
    [language ?? null, language ?? null],
  )
}

/** The changed text of a key, which stays as it is until the transaction ends. */
export async function findChangedText(tx: Tx, language: string, key: string): Promise<string | undefined> {
  const [row] = await tx.rows<{ text: string }>(
    'select text from translations where language = ? and key = ? for update',
    [language, key],
  )
  return row?.text
}

/** Puts a text in place. */
export async function putText(tx: Tx, { language, key, text }: ChangedText): Promise<void> {
  await tx.run(
    `
    insert into translations (language, key, text) values (?, ?, ?)
    on conflict (language, key) do update set text = excluded.text`,
    [language, key, text],
  )
}

/** Takes a changed text away, so that the shipped one counts again. */
export async function deleteText(tx: Tx, language: string, key: string): Promise<void> {
  await tx.run('delete from translations where language = ? and key = ?', [language, key])
}
