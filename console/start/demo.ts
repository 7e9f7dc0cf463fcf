import type { TextKey } from '../texts/language'

/** The demo users that SEED_DEMO puts into the database. */
export const demoPassword = 'demo-password-1'

const roles = ['alice', 'petra', 'root', 'erin', 'bob', 'carol', 'frank', 'dave'] as const

export const demoUsers: { name: string; is: TextKey }[] = roles.map((name) => ({ name, is: `demo.${name}` }))

export const demoMandates = {
  acme: '00000000-0000-4000-8000-000000000101',
  globex: '00000000-0000-4000-8000-000000000102',
}
