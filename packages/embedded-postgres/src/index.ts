/** What a program that runs its own Postgres may import. */
export { backUp, type BackupOptions } from './backup.js'
export { findCluster, readPasswords, type Passwords } from './cluster.js'
export { sightPostmaster, type Sighting } from './pidfile.js'
export { startEmbeddedPostgres, type EmbeddedOptions, type EmbeddedPostgres } from './postgres.js'
export type { ExistingCluster, RunStrategy } from './strategies.js'
