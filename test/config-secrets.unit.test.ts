import { describe, expect, it } from '@jest/globals'
import { ConfigError, loadConfig } from '../src/config.js'

const strong = {
  NODE_ENV: 'production',
  EMBEDDED_DATABASE: 'true',
  APP_JWT_KEY_SECRET: 'k7Jq2xVd9LrT4mWz8Bn3Yc6Hf1Gs5Pa0',
  SECRET_KEY: 'Zx3Cv6Bn9Mq2We5Rt8Yu1Io4Pa7Sd0Fg',
}

function faultsOf(environment: Record<string, string>): string[] {
  try {
    loadConfig(environment)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

describe('a secret in production', () => {
  const weak = [
    'change-me-change-me-change-me-change-me',
    'changeme'.repeat(5),
    'password'.repeat(4),
    'secret-'.repeat(8),
    '0123456789'.repeat(4),
    'abcdefgh'.repeat(8),
  ]

  describe.each(['APP_JWT_KEY_SECRET', 'SECRET_KEY', 'APP_JWT_KEY_SECRET_PREVIOUS', 'SECRET_KEY_PREVIOUS'])(
    '%s',
    (name) => {
      it.each(weak)('cannot be %j, which anybody could guess, and is not repeated', (value) => {
        const faults = faultsOf({ ...strong, [name]: value })
        expect(faults).toEqual([expect.stringMatching(new RegExp(`^${name}: `))])
        expect(faults.join()).not.toContain(value)
      })

      it('can be anything that was drawn by chance', () => {
        for (const value of [
          'Qm9XQ2h1c0pYd2x0ZUVyT2ZpN1pLd0E5',
          '9f86d081884c7d659a2feaa0c55ad015',
          'f3c1a97be0d24586f3b7c21d9e80a645f3c1',
          'rT9$kL2#vB7!nM4@xC1%zQ8^wE5&yU3*',
        ]) {
          expect([value, faultsOf({ ...strong, [name]: value })]).toEqual([value, []])
        }
      })
    },
  )

  it('of development may be weak', () => {
    expect(faultsOf({ APP_JWT_KEY_SECRET: weak[0]!, SECRET_KEY_PREVIOUS: weak[1]! })).toEqual([])
  })
})
