/**
 * A bar chart as SVG, legible on light and dark pages. @param {{ name: string, value: number }[]} bars @param
 * {string} title
 */
export function plot(bars, title) {
  const [left, width, line] = [190, 420, 30]
  const most = Math.max(...bars.map(({ value }) => value))
  const rows = bars.map(({ name, value }, index) => {
    const y = 44 + index * line
    const length = Math.max(2, Math.round((value / most) * width))
    const colour = name.startsWith('gateway') ? '#0f766e' : '#94a3b8'
    return `  <text x="${left - 10}" y="${y + 14}" text-anchor="end">${name}</text>
  <rect x="${left}" y="${y}" width="${length}" height="20" rx="3" fill="${colour}"/>
  <text x="${left + length + 8}" y="${y + 14}">${value}</text>`
  })
  const box = `0 0 ${left + width + 70} ${54 + bars.length * line}`
  const font = 'font-family="system-ui, sans-serif" font-size="13" fill="#64748b"'
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${box}" ${font}>
  <text x="${left}" y="24" font-weight="600">${title}</text>
${rows.join('\n')}
</svg>
`
}
