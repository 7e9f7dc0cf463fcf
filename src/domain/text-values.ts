/** What can stand in a text at `{name}`. A list is a choice: "a, b or c". */
export type TextValue = string | number | readonly string[]
export type TextValues = Readonly<Record<string, TextValue>>

/** Why something is refused: a stable code that clients translate by, and the values of its text. */
export interface Reason {
  /** A key of `reasons` in `locales/`. */
  code: string
  values: TextValues
  /** The same in English. */
  text: string
}
