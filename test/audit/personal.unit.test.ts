import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { hashPersonal, putBack, splitEvent } from '../../src/audit/personal.js'

const [who, whom] = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002']
const event = (details: Record<string, unknown>) => ({
  userId: who,
  mandateId: 'system',
  action: 'x',
  details,
  requestId: 'r',
})

const personal = ['username', 'email', 'fullName', 'address', 'userAgent', 'displayName', 'operator']
const secret = [
  'password',
  'passwordHash',
  'secret',
  'clientSecret',
  'token',
  'tokenHash',
  'accessToken',
  'refreshToken',
  'authorization',
  'cookie',
]

describe('an event', () => {
  it.each(personal)('keeps %s apart, and of it a keyed hash alone', (name) => {
    const { details, hashes, values } = splitEvent(
      event({ after: { [name]: 'Zoë', other: 1 }, [name]: 'here' }),
    )
    expect(JSON.stringify(details)).not.toMatch(/Zoë|here/)
    expect(values.map(({ field, value, personId }) => [field, value, personId])).toEqual([
      [`after.${name}`, 'Zoë', who],
      [name, 'here', who],
    ])
    for (const { field, salt, value } of values) expect(hashes[field]).toBe(hashPersonal(salt, value))
    expect(new Set(values.map(({ salt }) => salt)).size).toBe(2)
  })

  it.each(secret)('never holds %s, however deep', (name) => {
    for (const value of ['s3cret', { nested: 's3cret' }, ['s3cret'], 7]) {
      const { details, values } = splitEvent(event({ before: { list: [{ [name]: value }] }, [name]: value }))
      expect(JSON.stringify([details, values])).not.toMatch(/s3cret|7/)
      expect(details).toEqual({ before: { list: [{ [name]: '[secret]' }] }, [name]: '[secret]' })
    }
  })

  it('assigns a personal value to its subject, else to the id beside it, else to the actor', () => {
    const person = (details: Record<string, unknown>) =>
      splitEvent(event(details)).values.map(({ personId }) => personId)
    expect(person({ subject: `user:${whom}`, after: { email: 'a' } })).toEqual([whom])
    expect(person({ subject: 'mandate:1', after: { userId: whom, email: 'a' } })).toEqual([whom])
    expect(person({ subject: 'user:nobody', before: { userId: whom, email: 'a' } })).toEqual([whom])
    expect(person({ subject: 'user:nobody', after: { email: 'a' } })).toEqual([who])
    expect(person({ subject: `user:${whom}`, address: '192.0.2.1' })).toEqual([who]) // of whoever did it
  })

  const name = fc.constantFrom(...personal, 'note', 'label', '__proto__', 'constructor', 'x')
  const details = fc.letrec<{ value: unknown; record: Record<string, unknown> }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'grapheme' }),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      tie('record'),
      fc.array(tie('value'), { maxLength: 3 }),
    ),
    record: fc
      .array(fc.tuple(name, tie('value')), { maxLength: 4 })
      .map((pairs) => Object.fromEntries(pairs)),
  })).record
  it('is whole again once the personal values are put back', () => {
    fc.assert(
      fc.property(details, (original) => {
        const split = splitEvent(event(original))
        const restored: unknown = JSON.parse(JSON.stringify(split.details))
        for (const { field, value } of split.values) putBack(restored, field, value)
        const sorted = (value: unknown): unknown =>
          Array.isArray(value)
            ? value.map(sorted)
            : typeof value === 'object' && value !== null
              ? Object.entries(value)
                  .sort(([a], [b]) => (a < b ? -1 : 1))
                  .map(([key, inner]) => [key, sorted(inner)])
              : value
        expect(sorted(restored)).toEqual(
          sorted(JSON.parse(JSON.stringify(original).replace(/\\u0000|\\ud[89a-f][0-9a-f]{2}/gi, '\ufffd'))),
        )
      }),
      { numRuns: 500 },
    )
  })

  it('that is too deep is cut, and holds what the database can store', () => {
    let deep: Record<string, unknown> = { email: 'too deep' }
    for (let n = 0; n < 40; n += 1) deep = { deep }
    expect(JSON.stringify(splitEvent(event(deep)))).not.toContain('too deep"')
    const { details: kept, values } = splitEvent(event({ note: 'a\0b\ud800', email: '\0', 'k\0': 1 }))
    expect(kept).toEqual({ note: 'a\ufffdb\ufffd', 'k\ufffd': 1 })
    expect(values.map(({ value }) => value)).toEqual(['\ufffd'])
  })
})

describe('putting a value back', () => {
  it('touches nothing where its place is gone', () => {
    for (const place of [null, 'text', 5, {}, { after: null }, { after: 'text' }, []]) {
      const before = JSON.stringify(place)
      putBack(place, 'after.email', 'x')
      expect(JSON.stringify(place)).toBe(before)
    }
    const object = {}
    putBack(object, '__proto__.polluted', 'x')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})
