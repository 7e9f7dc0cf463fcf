/** A number with its label. */
export function Figure({ label, value }: { label: string; value: string }) {
  return (
    <div className="card figure">
      <span>{label}</span>
      <b>{value}</b>
    </div>
  )
}
