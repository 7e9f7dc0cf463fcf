/**
 * Second factors: authenticator apps (TOTP, RFC 6238), passkeys (WebAuthn) and recovery codes, with what
 * keeps a challenge or a code from being used twice and guesses from going on. See docs/second-factors.md.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
create table user_factors (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  kind text not null check (kind in ('totp', 'passkey')),
  label text not null default '',
  created_at timestamptz not null default now(),
  last_used_at timestamptz,
  sealed_secret text, -- of an authenticator app; sealed with SECRET_KEY
  last_step bigint, -- the last step (30 s) of which a code was accepted
  credential_id text unique, -- of a passkey, in base64url
  public_key text, -- COSE, in base64url
  sign_count bigint not null default 0,
  transports text[] not null default '{}'
);
create index user_factors_user on user_factors (user_id, created_at);

-- authenticator apps that have not proved yet that they have the secret
create table pending_totp (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users on delete cascade,
  label text not null,
  sealed_secret text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index pending_totp_user on pending_totp (user_id);

create table recovery_codes (
  user_id uuid not null references users on delete cascade,
  code_hash text not null check (code_hash ~ '^[0-9a-f]{64}$'),
  primary key (user_id, code_hash)
);

-- challenges that were answered, as long as they could be answered again
create table factor_challenges (
  id uuid primary key,
  user_id uuid not null references users on delete cascade,
  attempts integer not null default 0,
  spent boolean not null default false,
  expires_at timestamptz not null
);
create index factor_challenges_expiry on factor_challenges (expires_at);
create index factor_challenges_user on factor_challenges (user_id);

-- wrong codes of authenticator apps: of a user at login, or of a session that was proved by a factor before
create table factor_failures (
  id uuid primary key, -- of the user, or of the session
  user_id uuid not null references users on delete cascade,
  session_id uuid references sessions on delete cascade,
  window_ends_at timestamptz not null,
  in_window integer not null default 0,
  in_row integer not null default 0,
  password_mark text -- of the password at the last wrong code
);
create index factor_failures_user on factor_failures (user_id);
create index factor_failures_session on factor_failures (session_id);

grant select, insert, update, delete
   on user_factors, pending_totp, recovery_codes, factor_challenges, factor_failures
   to gateway_app`)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw('drop table factor_failures, factor_challenges, recovery_codes, pending_totp, user_factors')
}
