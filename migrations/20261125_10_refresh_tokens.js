/**
 * Refresh tokens: one family a session, of which one is unspent. Only hashes are stored. See
 * docs/sessions.md.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table refresh_tokens (
  token_hash text primary key check (token_hash ~ '^[0-9a-f]{64}$'),
  session_id uuid not null references sessions on delete cascade,
  issued_at timestamptz not null default now(),
  expires_at timestamptz not null,
  spent_at timestamptz,
  -- what was given for it: a second use within seconds is answered the same
  successor_hash text,
  access_token_id uuid
);
create index refresh_tokens_session on refresh_tokens (session_id);
create index refresh_tokens_expiry on refresh_tokens (expires_at);
create index sessions_last_seen on sessions (last_seen_at)`)
  await knex.raw('grant select, insert, update, delete on refresh_tokens to gateway_app')
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('drop index sessions_last_seen')
  await knex.raw('drop table refresh_tokens')
}
