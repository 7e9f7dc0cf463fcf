import { Fragment } from 'react'

/** A name, path or key that may be broken where its words end, and nowhere else. */
export function Breakable({ text }: { text: string }) {
  return text.split(/(?<=[/._:-])|(?<=[a-z])(?=[A-Z])/).map((part, index) => (
    <Fragment key={index}>
      {index > 0 && <wbr />}
      {part}
    </Fragment>
  ))
}
