import { Fragment } from 'react'

/** A name, path or key that wraps only at the ends of its words. */
export function Breakable({ text }: { text: string }) {
  return text.split(/(?<=[/._:-])|(?<=[a-z])(?=[A-Z])/).map((part, index) => (
    <Fragment key={index}>
      {index > 0 && <wbr />}
      {part}
    </Fragment>
  ))
}
