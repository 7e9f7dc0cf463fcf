import type pg from 'pg'

/**
 * Makes the gateway's database and roles where they are missing. `gateway` can do what `gateway_app` was
 * granted, no more.
 */
export async function ensureDatabase(client: pg.Client, password: string): Promise<void> {
  const { rows } = await client.query<{ group: boolean; login: boolean; database: boolean }>(`
    select exists (select from pg_roles where rolname = 'gateway_app') as "group",
           exists (select from pg_roles where rolname = 'gateway') as "login",
           exists (select from pg_database where datname = 'gateway') as "database"`)
  const [found] = rows
  if (!found?.group)
    await client.query('create role gateway_app nologin nosuperuser nobypassrls nocreatedb nocreaterole')
  if (!found?.login) {
    await client.query(`create role gateway login nosuperuser nobypassrls nocreatedb nocreaterole
      in role gateway_app password ${client.escapeLiteral(password)}`)
  }
  if (!found?.database) await client.query('create database gateway')
}
