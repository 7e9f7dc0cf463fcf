"""The way back: takes into the old product's database what has happened at the gateway since the import.

GATEWAY_DATABASE_URL (a login that may read) and OLD_DATABASE_URL. It can be run again. Passwords come as they are hashed now: argon2id for everybody who
has signed in at the gateway, so that the old login must accept that too. People whom it cannot know (erased, or removed from a mandate) are removed.
"""
import os

import psycopg

USERS = """
select id::text, username, email, full_name, password_hash, enabled, is_sys_admin
  from users
 where not is_service_account
"""
MEMBERSHIPS = "select id::text, user_id::text, mandate_id::text, enabled from user_mandates"
ROLES = "select user_mandate_id::text, role_id::text from user_mandate_roles"
TOKENS = """
select id::text, user_id::text, authority, session_id::text, purpose, status, extract(epoch from issued_at)::float8, extract(epoch from expires_at)::float8
  from tokens
 where expires_at > now()
"""

with psycopg.connect(os.environ["GATEWAY_DATABASE_URL"]) as gateway, psycopg.connect(os.environ["OLD_DATABASE_URL"]) as old:
    users, memberships, roles, tokens = (gateway.execute(query).fetchall() for query in (USERS, MEMBERSHIPS, ROLES, TOKENS))
    work = old.cursor()
    work.executemany(
        """insert into "UserInDB" (id, username, email, "fullName", "hashedPassword", enabled, "isSysAdmin") values (%s, %s, %s, %s, %s, %s, %s)
           on conflict (id) do update set email = excluded.email, "fullName" = excluded."fullName", "hashedPassword" = excluded."hashedPassword",
             enabled = excluded.enabled, "isSysAdmin" = excluded."isSysAdmin" """, users)
    work.executemany(
        """insert into "UserMandate" (id, "userId", "mandateId", enabled) values (%s, %s, %s, %s)
           on conflict (id) do update set enabled = excluded.enabled""", memberships)
    work.execute('delete from "UserMandate" where id <> all(%s)', [[row[0] for row in memberships]])
    work.execute('delete from "UserMandateRole"')
    work.executemany('insert into "UserMandateRole" (id, "userMandateId", "roleId") values (gen_random_uuid()::text, %s, %s)', roles)
    work.executemany(
        """insert into "Token" (id, "userId", authority, "sessionId", "tokenPurpose", status, "createdAt", "expiresAt") values (%s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (id) do update set status = excluded.status""", tokens)
    work.execute('update "UserInDB" set enabled = false where id <> all(%s)', [[row[0] for row in users]])
    print(f"{len(users)} users, {len(memberships)} memberships, {len(roles)} roles of members, {len(tokens)} tokens")
