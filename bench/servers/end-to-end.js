/**
 * The headers of a request as they came, but for those of the hop. @param {string[]} lines names and values,
 * in turn
 */
export function endToEnd(lines) {
  const kept = []
  for (let index = 0; index < lines.length; index += 2) {
    const name = lines[index].toLowerCase()
    if (name !== 'host' && name !== 'connection' && name !== 'keep-alive')
      kept.push(lines[index], lines[index + 1])
  }
  return kept
}
