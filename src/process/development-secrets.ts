import { randomBytes } from 'node:crypto'
import { link, readFile, unlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import type { Config } from '../config.js'
import { hasCode } from '../errors.js'
import { makeDataDir } from './data-dir.js'

const secretsSchema = z.object({ APP_JWT_KEY_SECRET: z.string().min(32), SECRET_KEY: z.string().min(32) })
type Secrets = z.infer<typeof secretsSchema>

/** Writes new secrets. Of several processes that start at once, the first to link its file sets them for all. */
async function makeSecrets(file: string): Promise<void> {
  const secrets: Secrets = {
    APP_JWT_KEY_SECRET: randomBytes(48).toString('base64url'),
    SECRET_KEY: randomBytes(48).toString('base64url'),
  }
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  await writeFile(draft, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
  try {
    await link(draft, file)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  } finally {
    await unlink(draft)
  }
}

async function readSecrets(file: string): Promise<Secrets> {
  try {
    return secretsSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw error
    throw new Error(
      `${file} cannot be read as the development secrets. Remove it to have new ones made; ` +
        'everybody is signed out then.',
      { cause: error },
    )
  }
}

/**
 * Returns the configuration with the secrets that it lacks, and the names of those secrets. They are
 * generated once and kept in DATA_DIR. In production, the configuration requires them. Rejects when the file
 * cannot be read.
 */
export async function withDevelopmentSecrets(
  config: Config,
): Promise<{ config: Config; generated: string[] }> {
  const needed = [
    ...(config.AUTH_ALGORITHM.startsWith('HS') ? ['APP_JWT_KEY_SECRET' as const] : []),
    'SECRET_KEY' as const,
  ]
  const missing = needed.filter((name) => config[name] === undefined)
  if (missing.length === 0) return { config, generated: [] }
  await makeDataDir(config.DATA_DIR)
  const file = path.join(config.DATA_DIR, 'development-secrets.json')
  const secrets = await readSecrets(file).catch(async (error: unknown) => {
    if (!hasCode(error, 'ENOENT')) throw error
    await makeSecrets(file)
    return readSecrets(file)
  })
  return {
    config: Object.freeze({ ...config, ...Object.fromEntries(missing.map((name) => [name, secrets[name]])) }),
    generated: missing,
  }
}
