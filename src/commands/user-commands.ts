import { z } from 'zod'
import { recordChange } from '../audit/record-change.js'
import { emailAddress } from '../domain/email-address.js'
import { endFactors } from '../authentication/end-queries.js'
import { GatewayError } from '../errors.js'
import { exitCodes } from '../domain/exit-codes.js'
import { label, username } from '../directory/fields.js'
import type { Edit, ChangeOutcome, Seen } from '../directory/scope.js'
import { exportUser } from '../directory/export-queries.js'
import { changeUser, eraseUser, makeUser } from '../directory/users.js'
import {
  findUserForUpdate,
  findUserId,
  lockEnabledAdmins,
  type ListedUser,
} from '../directory/user-queries.js'
import { issueFirstAccess } from '../login/first-access.js'
import { setFirstPassword } from '../login/first-access-queries.js'
import { issueSetupLink } from '../login/setup.js'
import { lockSetup, voidSetupLinks } from '../login/setup-queries.js'
import { checkNewPassword } from '../login/password-policy.js'
import { createPasswords } from '../login/password.js'
import type { CommandResult } from './routes-command.js'
import { changeSysAdmin } from '../system/admins.js'
import { asOperator, heard, type Operator } from './as-operator.js'
import { confirmName, readNewPassword } from './read-secret.js'
import { failed, said } from './command-result.js'

/** Whoever runs the gateway has its secrets: nothing of a SysAdmin is beyond them. */
const operator = { isSysAdmin: true }

const newUser = z.strictObject({
  username,
  email: emailAddress.nullable(),
  fullName: label.nullable(),
})

/** The user who is meant, by id or by name. Throws `not_found`. */
export async function userIdOf(sql: Seen | Edit['tx'], named: string): Promise<string> {
  const id = await findUserId(
    sql,
    z.uuid().safeParse(named).success ? { userId: named } : { username: named },
  )
  if (id === undefined)
    throw new GatewayError('not_found', `There is no user ${named}: name one by username or id`)
  return id
}

async function userOf(tx: Edit['tx'], named: string): Promise<ListedUser> {
  const user = await findUserForUpdate(tx, await userIdOf(tx, named))
  if (!user) throw new GatewayError('not_found', `There is no user ${named}`)
  return user
}

/** Where links lead that are printed here. */
export const publicUrlOf = ({ PUBLIC_URL, HOST, PORT }: Operator['config']) =>
  PUBLIC_URL ?? `http://${HOST.includes(':') ? `[${HOST}]` : HOST}:${PORT}`

/** What has been changed: these commands make what they say, and preview nothing. */
export function madeOf<Result>(
  outcome: ChangeOutcome<Result>,
): Extract<ChangeOutcome<Result>, { result: Result }> {
  if ('effect' in outcome) throw new Error('a change was to be made and was previewed')
  return outcome
}

interface NewUser {
  name: string
  email?: string | undefined
  fullName?: string | undefined
  serviceAccount: boolean
  /** Read a password instead of printing a link. */
  password: boolean
  json: boolean
}

/** `user create`: with a one-time link by which they set a password, or with a password that is read. */
export async function createUser({
  name,
  email,
  fullName,
  serviceAccount,
  password: withPassword,
  json,
}: NewUser): Promise<CommandResult> {
  const parsed = newUser.safeParse({ username: name, email: email ?? null, fullName: fullName ?? null })
  if (!parsed.success) {
    return failed(
      new GatewayError('validation_failed', 'The user cannot be made', {
        errors: parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message })),
      }),
    )
  }
  return await asOperator(async ({ config, scope }) => {
    const password = withPassword ? await readNewPassword() : undefined
    if (password !== undefined) checkNewPassword(password, name)
    const passwordHash = password === undefined ? undefined : await createPasswords().hash(password)
    const made = await scope.change(async (edit) => {
      const { tx } = edit
      const user = await makeUser(edit, {
        ...parsed.data,
        enabled: true,
        isPlatformAdmin: false,
        isServiceAccount: serviceAccount,
      })
      if (passwordHash !== undefined) await setFirstPassword(tx, user.id, passwordHash)
      const link =
        passwordHash === undefined && !serviceAccount ? await issueFirstAccess(tx, user.id, null) : undefined
      return {
        user,
        firstAccess: link && { url: publicUrlOf(config) + link.path, expiresAt: link.expiresAt },
      }
    })
    const {
      result: { user, firstAccess },
      coherence,
    } = madeOf(made)
    const lines = [
      `${user.username} is made: ${user.id}`,
      ...(firstAccess
        ? [
            `They set their password, once, until ${firstAccess.expiresAt.toISOString()}, at`,
            `  ${firstAccess.url}`,
          ]
        : []),
      ...(serviceAccount
        ? [`It is given a token by: mandate-gateway token issue ${user.username} --label WHAT-FOR`]
        : []),
    ]
    return said(exitCodes.ok, json, { ...user, ...(firstAccess ? { firstAccess } : {}), coherence }, lines)
  })
}

type Admins = Awaited<ReturnType<typeof lockEnabledAdmins>>

/** Changes a user, and says that all nodes have heard of it. */
async function changing(
  named: string,
  json: boolean,
  words: (user: ListedUser) => string,
  work: (edit: Edit, user: ListedUser, admins: Admins) => Promise<void>,
): Promise<CommandResult> {
  return await asOperator(async (caller) => {
    const changed = await caller.scope.change(async (edit) => {
      const admins = await lockEnabledAdmins(edit.tx) // first, as everybody does who locks several users
      const user = await userOf(edit.tx, named)
      await work(edit, user, admins)
      return user
    })
    const { result: user, coherence } = madeOf(changed)
    return said(exitCodes.ok, json, { id: user.id, username: user.username, coherence }, [
      words(user),
      heard(coherence),
    ])
  })
}

/** `user disable`, `user enable`. */
export async function enableUser(named: string, enabled: boolean, json: boolean): Promise<CommandResult> {
  const words = ({ username: name }: ListedUser) =>
    `${name} is ${enabled ? 'enabled' : 'disabled; all their sessions have ended'}.`
  return await changing(named, json, words, async ({ tx, record }, before, admins) => {
    const after = await changeUser(tx, operator, before, { enabled }, admins)
    await record({
      action: before.isServiceAccount ? 'service_account_changed' : 'user_changed',
      subject: `user:${before.id}`,
      before,
      after,
    })
  })
}

/** `user factors --reset`: removes what a user has lost, and ends their sessions. */
export async function resetFactorsOf(named: string, json: boolean): Promise<CommandResult> {
  const words = ({ username: name }: ListedUser) =>
    `The second factors and recovery codes of ${name} are removed; all their sessions have ended.`
  return await changing(named, json, words, async ({ tx, record }, user) => {
    const before = await endFactors(tx, user.id)
    await record({ action: 'factors_reset', subject: `user:${user.id}`, before })
  })
}

/** `user password`: sets what is read; ends what was begun with another one. */
export async function setPassword(named: string, json: boolean): Promise<CommandResult> {
  try {
    const password = await readNewPassword()
    checkNewPassword(password, named)
    const passwordHash = await createPasswords().hash(password)
    return await changing(
      named,
      json,
      ({ username: name }) =>
        `The password of ${name} is set; all their sessions have ended, and identities are unlinked.`,
      async ({ tx, record }, user) => {
        checkNewPassword(password, user.username)
        if (user.isServiceAccount)
          throw new GatewayError(
            'conflict',
            `${user.username} is a service account and has no password: mandate-gateway token issue gives it a token`,
          )
        await setFirstPassword(tx, user.id, passwordHash)
        await record({ action: 'password_changed', subject: `user:${user.id}`, after: { by: 'operator' } })
      },
    )
  } catch (error) {
    return failed(error)
  }
}

/** The two levels, as they are granted and revoked. */
export type AdminLevel = 'platform' | 'system'

const titles = { platform: 'PlatformAdmin', system: 'SysAdmin' } as const

/** `admin grant`, `admin revoke`. */
export async function setAdmin(
  level: AdminLevel,
  named: string,
  granted: boolean,
  json: boolean,
): Promise<CommandResult> {
  const words = ({ username: name }: ListedUser) =>
    `${name} is ${granted ? 'a' : 'no'} ${titles[level]} ${granted ? 'now' : 'any more'}.`
  return await changing(named, json, words, async ({ tx, record, actor }, before, admins) => {
    if (granted) {
      await lockSetup(tx) // so that nobody becomes the first admin by a link at the same moment
      await voidSetupLinks(tx)
    }
    if (level === 'system') {
      await changeSysAdmin(tx, { named: before.id, isSysAdmin: granted, actor })
      return
    }
    const after = await changeUser(tx, operator, before, { isPlatformAdmin: granted }, admins)
    await record({ action: 'user_changed', subject: `user:${before.id}`, before, after })
  })
}

/** `admin setup-link`: while there is no admin, a link by which the first makes themselves. */
export async function printSetupLink(json: boolean): Promise<CommandResult> {
  return await asOperator(async ({ config, database, actor }) => {
    const link = await database.transaction((tx) => issueSetupLink(tx, actor, 'all'))
    if (!link)
      throw new GatewayError(
        'conflict',
        'There is an admin. mandate-gateway admin grant makes another, and user password sets a password that was forgotten.',
      )
    const url = publicUrlOf(config) + link.path
    return said(exitCodes.ok, json, { url, expiresAt: link.expiresAt }, [url])
  })
}

/** `user export`: all that the directory holds of a person, as JSON. */
export async function exportPerson(named: string): Promise<CommandResult> {
  return await asOperator(async ({ scope, database, actor }) => {
    const found = await scope.see(async (sql) => await exportUser(sql, await userIdOf(sql, named)))
    await database.transaction((tx) =>
      recordChange(tx, {
        actor,
        mandateId: 'system',
        action: 'user_exported',
        subject: `user:${String(found?.user.id)}`,
      }),
    )
    return said(exitCodes.ok, true, found, [])
  })
}

interface EraseOptions {
  dryRun: boolean
  /** Nobody needs to be asked. */
  yes: boolean
  json: boolean
}

/**
 * `user erase`: deletes a user and what the audit says about them; or says what that would end. It cannot be
 * undone, so the name must be typed once more on the terminal; elsewhere `--yes` is needed.
 */
export async function erasePerson(
  named: string,
  { dryRun, yes, json }: EraseOptions,
): Promise<CommandResult> {
  if (!dryRun && !yes && !(await confirmName(named))) {
    return {
      exitCode: exitCodes.no,
      stdout: '',
      stderr: `Nothing was changed. Erasing ${named} cannot be undone: type the name as asked, or give --yes. --dry-run says what it would end.\n`,
    }
  }
  return await asOperator(async ({ scope }) => {
    const outcome = await scope.change(
      async (edit) => {
        const admins = await lockEnabledAdmins(edit.tx)
        const user = await userOf(edit.tx, named)
        await eraseUser(edit, user, admins)
        return user
      },
      { dryRun },
    )
    if ('effect' in outcome) {
      const { sessions, tokens } = outcome.effect
      return said(exitCodes.ok, json, { dryRun: true, sessions: sessions.length, tokens: tokens.length }, [
        `${sessions.length} sessions would end, and ${tokens.length} tokens count no more. Nothing was changed.`,
      ])
    }
    return said(exitCodes.ok, json, { id: outcome.result.id, coherence: outcome.coherence }, [
      `${named} is erased; the audit knows ${outcome.result.id}.`,
      heard(outcome.coherence),
    ])
  })
}
