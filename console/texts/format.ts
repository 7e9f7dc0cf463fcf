import { useLanguage } from './language'

const second = 1000
const spans: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 24 * 60 * 60 * second],
  ['hour', 60 * 60 * second],
  ['minute', 60 * second],
  ['second', second],
]

/** Dates, durations and numbers as the chosen language writes them. */
export function useFormat() {
  const language = useLanguage()
  const locale = language === 'de' ? 'de-DE' : 'en-GB'
  const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' })
  const date = new Intl.DateTimeFormat(locale, { dateStyle: 'medium' })
  const time = new Intl.DateTimeFormat(locale, { timeStyle: 'medium' })
  const month = new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric', timeZone: 'UTC' })
  const day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', timeZone: 'UTC' })
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 })
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'long' })
  const size = (bytes: number) => {
    const step = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), 4)
    return `${number.format(bytes / 1024 ** step)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][step]}`
  }
  return {
    dateTime: (value: string) => dateTime.format(new Date(value)),
    date: (value: string) => date.format(new Date(value)),
    /** Of a month such as `2026-11`. */
    month: (value: string) => month.format(new Date(`${value}-01T00:00:00Z`)),
    /** Of a moment at the beginning of a day (UTC). */
    dayOf: (value: number) => day.format(new Date(value)),
    time: (value: string | number) => time.format(new Date(value)),
    number: (value: number) => number.format(value),
    ms: (value: number) => `${number.format(value)} ms`,
    size,
    ago: (value: string) => {
      const difference = Date.parse(value) - Date.now()
      const [unit, length] = spans.find(([, span]) => Math.abs(difference) >= span) ?? ['second', second]
      return relative.format(Math.round(difference / length), unit)
    },
  }
}
