/**
 * Usernames with capitals may be moved in: they are found whatever the case they are typed in, and no two
 * differ in case alone. New ones that the gateway makes are in lower case, as before.
 */

/** @param {import('knex').Knex} knex */
export async function up(knex) {
  await knex.raw(`
    alter table users drop constraint users_username_check;
    alter table users add constraint users_username_check check (length(username) between 1 and 256);
    create unique index users_username_lower on users (lower(username));
  `)
}

/** @param {import('knex').Knex} knex */
export async function down(knex) {
  await knex.raw(`
    drop index users_username_lower;
    alter table users drop constraint users_username_check;
    alter table users add constraint users_username_check check (username = lower(username) and length(username) between 1 and 256);
  `)
}
