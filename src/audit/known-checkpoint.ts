import { randomUUID } from 'node:crypto'
import { mkdir, open, readFile, readdir, rename } from 'node:fs/promises'
import path from 'node:path'
import { checkpointSchema, type Checkpoint } from './checkpoint.js'

/**
 * What this machine knows of the chain. An attacker who rewrites the whole database does not reach this file.
 */
const fileName = 'checkpoint.json'

/**
 * Reads the checkpoints in `directory`: the last one, and those that the chain in the database has
 * contradicted. Rejects for a file that holds no checkpoint.
 */
export async function readKnownCheckpoints(
  directory: string,
): Promise<{ last: Checkpoint | undefined; contradicted: Checkpoint[] }> {
  const names = await readdir(directory).catch((): string[] => [])
  const read = async (name: string) =>
    checkpointSchema.parse(JSON.parse(await readFile(path.join(directory, name), 'utf8')))
  return {
    last: names.includes(fileName) ? await read(fileName) : undefined,
    contradicted: await Promise.all(
      names.filter((name) => /^checkpoint-\d+-contradicted\.json$/.test(name)).map(read),
    ),
  }
}

/**
 * Stores a checkpoint in `directory`, as the last one, or beside it as one that was contradicted. The file is
 * complete at any moment.
 */
export async function keepCheckpoint(
  directory: string,
  checkpoint: Checkpoint,
  contradicted = false,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const file = path.join(
    directory,
    contradicted ? `checkpoint-${checkpoint.position}-contradicted.json` : fileName,
  )
  const part = `${file}.${randomUUID()}.part`
  const handle = await open(part, 'wx', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify(checkpoint, undefined, 2)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(part, file)
}
