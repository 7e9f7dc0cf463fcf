import { languages, localeOf, useLanguage, type Language } from './language'

const second = 1000
const spans: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 24 * 60 * 60 * second],
  ['hour', 60 * 60 * second],
  ['minute', 60 * second],
  ['second', second],
]

/** Returns functions that write dates, durations and numbers in a language. */
function formatIn(language: Language) {
  const locale = localeOf(language)
  const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' })
  const date = new Intl.DateTimeFormat(locale, { dateStyle: 'medium' })
  const time = new Intl.DateTimeFormat(locale, { timeStyle: 'medium' })
  const month = new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric', timeZone: 'UTC' })
  const day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', timeZone: 'UTC' })
  const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 })
  const percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 })
  const unit = (name: 'millisecond' | 'second') =>
    new Intl.NumberFormat(locale, {
      style: 'unit',
      unit: name,
      unitDisplay: 'short',
      maximumFractionDigits: 1,
    })
  const [milliseconds, seconds] = [unit('millisecond'), unit('second')]
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'long' })
  const languageNames = new Intl.DisplayNames(locale, { type: 'language' })
  const collator = new Intl.Collator(locale, { numeric: true, sensitivity: 'base' })
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
    /** Compares two texts as people of the language sort them. */
    compareText: (a: string, b: string) => collator.compare(a, b),
    /** The name of a language by its code: `de` is German. */
    language: (code: string) => languageNames.of(code) ?? code,
    number: (value: number) => number.format(value),
    /** Of a share from 0 to 1. */
    percent: (share: number) => percent.format(share),
    ms: (value: number) => milliseconds.format(value),
    seconds: (value: number) => seconds.format(value),
    size,
    ago: (value: string) => {
      const difference = Date.parse(value) - Date.now()
      const [unit, length] = spans.find(([, span]) => Math.abs(difference) >= span) ?? ['second', second]
      return relative.format(Math.round(difference / length), unit)
    },
  }
}

const formats = new Map(languages.map(({ code }) => [code, formatIn(code)]))

/** Returns functions that write dates, durations and numbers in the chosen language. */
export function useFormat() {
  const language = useLanguage()
  return formats.get(language) ?? formatIn(language)
}
